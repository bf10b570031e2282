#!/usr/bin/env bash
# Last stage: has the dynamic linker find NVIDIA's wheels, and TensorFlow's compiler find ptxas.
# TensorFlow's own search path names only some of the wheels. The CPU variant has none: nothing is done.
set -euo pipefail

nvidia=$(echo /opt/venv/lib/python*/site-packages)/nvidia
[ -d "$nvidia" ] || exit 0
printf '%s\n' "$nvidia"/*/lib >/etc/ld.so.conf.d/nvidia-wheels.conf
ldconfig
ln -s "$nvidia/cuda_nvcc/bin/ptxas" /usr/local/bin/ptxas
