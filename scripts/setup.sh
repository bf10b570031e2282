#!/usr/bin/env bash
# Makes .venv: a Python and exactly what the lock of its stack says, hashes checked, bytecode compiled.
# TFX 1.21 on Python 3.13 or 3.12 where the machine has one and glibc allows, else TFX 1.16 on Python 3.10;
# PYTHON=python3.12, a command or a path, overrides that.
# Safe to interrupt and to start again; does nothing when .venv is already what the lock says.
# EXTRAS=gpu, torch, onnx, demo, or several as gpu,torch, adds those extras of setup.py.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

VENV=.venv
EXTRAS=${EXTRAS:-}
PYTHON=${PYTHON:-}
NEEDED_GLIBC=2.39  # by TFX 1.21's wheels

die() { printf 'setup: %s\n' "$@" >&2; exit 1; }

# 3.13 of a command that is Python 3.13; empty of one that is no Python.
version_of() { "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null || true; }

# The TFX that runs on a version of Python; empty if none does.
tfx_for() {
  case $1 in
    3.10) echo 1.16 ;;
    3.12 | 3.13) echo 1.21 ;;
  esac
}

# Whether the machine's glibc carries a TFX.
glibc_allows() { [ "$1" != 1.21 ] || printf '%s\n' "$NEEDED_GLIBC" "$glibc" | sort --version-sort --check=quiet; }

# The first of some versions of Python that is there: on PATH, of pyenv, of uv.
find_python() {
  local version candidate
  for version in "$@"; do
    for candidate in "python$version" python3 "${PYENV_ROOT:-$HOME/.pyenv}/versions/$version".*/bin/python; do
      if [ "$(version_of "$candidate")" = "$version" ]; then echo "$candidate"; return; fi
    done
    if command -v uv >/dev/null && uv python find --no-python-downloads "$version" 2>/dev/null; then return; fi
  done
  if command -v uv >/dev/null; then
    uv python install "$1" >&2 && uv python find "$1"
  fi
}

# What a Python lacks to make an environment and to compile pyfarmhash and crcmod, which have no wheels:
# names of Debian's and Ubuntu's packages.
missing_packages() {
  local package
  package=python$(version_of "$1")
  command -v c++ >/dev/null || echo g++
  "$1" -c 'import ensurepip, venv' 2>/dev/null || echo "$package-venv"
  "$1" -c 'import pathlib, sysconfig; pathlib.Path(sysconfig.get_path("include"), "Python.h").stat()' 2>/dev/null ||
    echo "$package-dev"
}

# Sets `python` and `why`.
choose_python() {
  local version tfx
  if [ -n "$PYTHON" ]; then
    python=$PYTHON why="as PYTHON=$PYTHON says"
    version=$(version_of "$python")
    tfx=$(tfx_for "$version")
    [ -n "$tfx" ] || die "PYTHON=$PYTHON is ${version:+Python }${version:-no Python}; it must be Python 3.10, 3.12 or 3.13"
    glibc_allows "$tfx" || die \
      "PYTHON=$PYTHON is Python $version, on which TFX $tfx runs, and that needs glibc $NEEDED_GLIBC; this machine has" \
      "${glibc:-another C library}. Leave PYTHON out, and Python 3.10 is taken."
  elif glibc_allows 1.21; then
    python=$(find_python 3.13 3.12 3.10 || true)
    [ -n "$python" ] || die \
      "Python 3.13, 3.12 or 3.10 was not found, and TFX runs on no other. Any of these gives one:" \
      "  Debian 13, Ubuntu 24.04:  sudo apt-get install python3 python3-venv python3-dev g++" \
      "  uv:                       curl -LsSf https://astral.sh/uv/install.sh | sh     (then run this again: uv fetches 3.13)" \
      "  pyenv:                    pyenv install 3.13"
    why="glibc $glibc carries it"
    [ "$(version_of "$python")" != 3.10 ] || why="TFX 1.21 runs on Python 3.12 and 3.13, and neither was found"
  else
    why="TFX 1.21 needs glibc $NEEDED_GLIBC, and this machine has ${glibc:-another C library}"
    python=$(find_python 3.10 || true)
    [ -n "$python" ] || die \
      "Python 3.10 was not found, and TFX 1.16 runs on no newer one; $why." \
      "Any of these gives it:" \
      "  Ubuntu 22.04:  sudo apt-get install python3 python3-venv python3-dev g++" \
      "  uv:            curl -LsSf https://astral.sh/uv/install.sh | sh     (then run this again: uv fetches 3.10)" \
      "  pyenv:         pyenv install 3.10"
  fi
}

# Sets `lock`, and `stamp`, the file that says that all of the lock is installed.
choose_lock() {
  lock=requirements-tfx-$(tfx_for "$1").lock
  stamp=$VENV/.setup-$(cat "$lock" setup.py <(echo "$EXTRAS") | sha256sum | cut -c1-16)
}

# Ends the script if nothing is to be done. Else sets `there`, the version of the environment that stays:
# the one that is there if a stack is for its Python, unless another one is asked for.
look() {
  there=$(version_of "$VENV/bin/python")
  [ -z "$PYTHON" ] || [ "$there" = "$(version_of "$PYTHON")" ] || there=
  if [ -n "$(tfx_for "$there")" ]; then
    choose_lock "$there"
    if [ -e "$stamp" ]; then exit 0; fi
    "$VENV/bin/python" -c 'import pip' >/dev/null 2>&1 || there=
  fi
}

# uv installs nothing for an extra that is not there, and with --quiet says nothing either.
extras=$(sed -n '/^EXTRAS_REQUIRE/,/^}/s/^    "\([a-z]*\)": .*/\1/p' setup.py)
extra="(${extras//$'\n'/|})"
[[ -z $EXTRAS || $EXTRAS =~ ^$extra(,$extra)*$ ]] || die "EXTRAS=$EXTRAS: it must be one of ${extras//$'\n'/, }, or several as gpu,torch"

look  # before anything is written: an environment that is whole may be read-only, or another user's
# One setup at a time; a second one waits for the first and then finds nothing to do.
mkdir -p "$VENV"
exec 9>"$VENV.lock"
flock 9
look

if [ -z "$(tfx_for "$there")" ]; then
  glibc=$(getconf GNU_LIBC_VERSION 2>/dev/null | cut -d' ' -f2) || glibc=
  choose_python
  there=$(version_of "$python")
  echo "setup: TFX $(tfx_for "$there") on $("$python" --version): $why"
  mapfile -t missing < <(missing_packages "$python")
  [ "${#missing[@]}" = 0 ] || die \
    "$python lacks what environments are made and packages compiled with. On Debian and Ubuntu:" \
    "  sudo apt-get install ${missing[*]}"
  rm -f "$VENV"/.setup-*
  "$python" -m venv --clear "$VENV" || die "could not make $VENV with $python (message above)."
  choose_lock "$there"
fi

rm -f "$VENV"/.setup-*
echo "setup: installing $lock (about 3 GB; a minute or two the first time)"
uv_requirement=$(mktemp)
trap 'rm -f "$uv_requirement"' EXIT
awk '/^uv==/ { inside = 1 } inside { print } inside && !/\\$/ { exit }' "$lock" >"$uv_requirement"
"$VENV/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r "$uv_requirement"
export VIRTUAL_ENV=$PWD/$VENV
uv_install=("$VENV/bin/uv" pip install --quiet --compile-bytecode)
"${uv_install[@]}" --require-hashes -r "$lock"
if [ -n "$EXTRAS" ]; then
  "${uv_install[@]}" --constraint "$lock" --no-build-isolation -e ".[$EXTRAS]"
else
  "${uv_install[@]}" --no-deps --no-build-isolation -e .
fi
touch "$stamp"
echo "setup: done"
