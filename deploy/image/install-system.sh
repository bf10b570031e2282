#!/usr/bin/env bash
# Last stage: what the base image lacks, and what it need not have.
set -euo pipefail

# The user that the image runs as. The Dockerfile names it by number: Kubernetes' runAsNonRoot cannot
# tell whether a name is root's.
useradd --uid 10001 --user-group --no-create-home --home-dir /tmp --shell /usr/sbin/nologin fishnet

# /opt/venv has the pip and setuptools that TFX uses; these are older, and scanners report them.
python -m pip uninstall --quiet --yes --root-user-action ignore pip setuptools wheel
standard_library=$(python -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')
rm -rf "$standard_library/ensurepip"

# The base image has no bytecode of the standard library, and a user other than root cannot add it.
python -m compileall -f -qq --invalidation-mode unchecked-hash "$standard_library"
