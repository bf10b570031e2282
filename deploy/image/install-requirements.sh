#!/usr/bin/env bash
# Stage requirements: /opt/venv with exactly what LOCK says, hashes checked, bytecode compiled.
# usage: install-requirements.sh LOCK
set -euo pipefail

lock=$1
build_lock=$(dirname "$lock")/requirements-build.lock
# The files never change after the build, so Python need not compare their times with the bytecode's,
# which builders that set all times to one would make it throw away.
export PYC_INVALIDATION_MODE=UNCHECKED_HASH

python -m pip install --quiet --no-cache-dir --disable-pip-version-check --root-user-action ignore \
  --require-hashes --requirement "$build_lock"
uv venv --quiet --python "$(command -v python)" --no-python-downloads /opt/venv
uv pip install --quiet --python /opt/venv/bin/python --link-mode copy --compile-bytecode \
  --require-hashes --build-constraints "$build_lock" --requirements "$lock"

rm -f /opt/venv/.lock  # uv's own, and anybody's to write
rm -rf /opt/venv/lib/python*/site-packages/tensorflow/include  # 420 MB, for who compiles own ops

# The project comes as a layer of its own, so that a commit does not change this one.
echo /opt/fishnet-tfx >"$(echo /opt/venv/lib/python*/site-packages)/fishnet-tfx.pth"
