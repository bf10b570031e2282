#!/usr/bin/env bash
# Stage requirements: a compiler, for pyfarmhash and crcmod, which have no wheels. It stays behind.
set -euo pipefail

apt-get update --quiet
apt-get install --yes --quiet --no-install-recommends g++
