#!/usr/bin/env bash
# Starts TF Serving with the pushed model (serving/compose.yaml), asks it for the classes of an image
# by REST and by gRPC, and stops it. MODELS is the folder with fishnet/<version>/ in it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

PYTHON=${PYTHON:-.venv/bin/python}
export MODELS=${MODELS:-output/digits/serving} BIND=${BIND:-127.0.0.1}

die() { printf 'serve-smoke: %s\n' "$@" >&2; exit 1; }

compose() { docker compose -p fishnet-smoke -f serving/compose.yaml "$@"; }

classify() { "$PYTHON" -m serving.client "$work/image.png" "$@"; }

docker compose version >/dev/null 2>&1 || die \
  "Docker with its compose plugin was not found: nothing was tried." \
  "Install it (https://docs.docker.com/engine/install/), or see docs/serving.md for the checks" \
  "that need no Docker."
docker info >/dev/null 2>&1 || die "Docker does not answer; is its service running, and are you allowed to use it?"
ls -d "$MODELS"/fishnet/[0-9]* >/dev/null 2>&1 || die \
  "$MODELS/fishnet holds no version." \
  "Push one with \`make run\`, or name another folder: make serve-smoke MODELS=DIR"
MODELS=$(realpath "$MODELS")  # compose would count a relative path from its file's folder

work=$(mktemp -d)
trap 'compose down >/dev/null 2>&1; rm -rf "$work"' EXIT
"$PYTHON" -c "from PIL import Image; Image.linear_gradient('L').save('$work/image.png')"

compose up --wait --wait-timeout 300 server || { compose logs --tail 50 server >&2; die "the server did not come up"; }
rest=$(classify --url "http://$BIND:8501")
grpc=$(classify --grpc "$BIND:8500")
[ "$rest" = "$grpc" ] || die "REST and gRPC differ:" "$rest" "$grpc"
printf '%s\n' "$rest" | sed "s|$work/||"
echo "serve-smoke: the server answers by REST and gRPC"
