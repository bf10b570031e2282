#!/usr/bin/env bash
# Stage project: the packages of setup.py, from the current folder, in /opt/fishnet-tfx.
set -euo pipefail

export PYC_INVALIDATION_MODE=UNCHECKED_HASH  # as in install-requirements.sh
uv pip install --quiet --python /opt/venv/bin/python --target /opt/fishnet-tfx --no-deps \
  --no-build-isolation --compile-bytecode .
rm -f /opt/fishnet-tfx/.lock  # uv's own, and anybody's to write
