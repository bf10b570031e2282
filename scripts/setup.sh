#!/usr/bin/env bash
# Makes .venv: Python 3.10 and exactly what requirements.lock says, hashes checked, bytecode compiled.
# Safe to interrupt and to start again; does nothing when .venv is already what the lock says.
# EXTRAS=gpu, torch, onnx, demo, or several as gpu,torch, adds those extras of setup.py.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

VENV=.venv
EXTRAS=${EXTRAS:-}

die() { printf 'setup: %s\n' "$@" >&2; exit 1; }

is_python310() { "$1" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 10))' >/dev/null 2>&1; }

find_python310() {
  local candidate
  for candidate in python3.10 python3 "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.10.*/bin/python; do
    if is_python310 "$candidate"; then echo "$candidate"; return; fi
  done
  if command -v uv >/dev/null; then
    uv python find 3.10 2>/dev/null || { uv python install 3.10 >&2 && uv python find 3.10; }
  fi
}

# One setup at a time; a second one waits for the first and then finds nothing to do.
mkdir -p "$VENV"
exec 9>"$VENV.lock"
flock 9

wanted=$(cat requirements.lock setup.py <(echo "$EXTRAS") | sha256sum | cut -c1-16)
stamp="$VENV/.setup-$wanted"
if [ -e "$stamp" ] && is_python310 "$VENV/bin/python"; then exit 0; fi
rm -f "$VENV"/.setup-*

if ! "$VENV/bin/python" -c 'import pip' >/dev/null 2>&1 || ! is_python310 "$VENV/bin/python"; then
  python=$(find_python310 || true)
  [ -n "$python" ] || die \
    "Python 3.10 was not found, and TFX 1.16 runs on no newer one. Any of these gives it:" \
    "  uv:            curl -LsSf https://astral.sh/uv/install.sh | sh     (then run this again: uv fetches 3.10)" \
    "  pyenv:         pyenv install 3.10" \
    "  Ubuntu 22.04:  sudo apt-get install python3.10 python3.10-venv"
  echo "setup: $VENV with $("$python" --version)"
  "$python" -m venv --clear "$VENV" || die \
    "could not make $VENV with $python (message above)." \
    "On Ubuntu its venv module is a package of its own: sudo apt-get install python3.10-venv"
fi

echo "setup: installing requirements.lock (about 3 GB; a minute or two the first time)"
uv_requirement=$(mktemp)
trap 'rm -f "$uv_requirement"' EXIT
awk '/^uv==/ { inside = 1 } inside { print } inside && !/\\$/ { exit }' requirements.lock >"$uv_requirement"
"$VENV/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r "$uv_requirement"
export VIRTUAL_ENV=$PWD/$VENV
uv_install=("$VENV/bin/uv" pip install --quiet --compile-bytecode)
"${uv_install[@]}" --require-hashes -r requirements.lock
if [ -n "$EXTRAS" ]; then
  "${uv_install[@]}" --constraint requirements.lock --no-build-isolation -e ".[$EXTRAS]"
else
  "${uv_install[@]}" --no-deps --no-build-isolation -e .
fi
touch "$stamp"
echo "setup: done"
