#!/usr/bin/env bash
# Last step of the build, as the image's user; a finished image can be asked the same:
#   docker run --rm --read-only --tmpfs /tmp --entrypoint /opt/image/smoke.sh IMAGE
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export HOME=$work TMPDIR=$work TF_CPP_MIN_LOG_LEVEL=2 PYTHONWARNINGS=ignore

die() { printf 'smoke: %s\n' "$@" >&2; exit 1; }

[ "$(id -u)" != 0 ] || die "runs as root"
for folder in / /opt /opt/venv /opt/fishnet-tfx /usr/local; do
  [ ! -w "$folder" ] || die "$folder can be written by user $(id -u)"
done
# boot answers --help only if it is a program for this machine.
/opt/apache/beam/boot --help 2>&1 | grep -q semi_persist_dir || die "/opt/apache/beam/boot does not run"
python -m pip check --quiet --disable-pip-version-check || die "packages do not fit together (above)"

# Everything a task or a worker imports: a shared library that is missing is missed here.
python - <<'PYTHON'
import ctypes
import importlib
import pathlib
import pkgutil

import keras
import tensorflow
from google.protobuf.internal import api_implementation

project = pathlib.Path("/opt/fishnet-tfx")
ours = [module.name for module in pkgutil.walk_packages([str(project)]) if "__main__" not in module.name]
ours.remove("serving.demo_page")  # its extra, demo, is not in the image
theirs = [
    "tfx.v1",
    "tfx.orchestration.kubeflow.v2.container.kubeflow_v2_run_executor",
    "tfx.orchestration.kubeflow.v2.file_based_example_gen.driver",
    "apache_beam.runners.worker.sdk_worker_main",
    "apache_beam.runners.worker.worker_pool_main",
    "apache_beam.io.gcp.gcsfilesystem",
    "tensorflow_data_validation",
    "tensorflow_model_analysis",
]
for name in ours + theirs:
    importlib.import_module(name)

assert "local_runner" in ours, f"our packages are not in {project}: {ours}"
assert keras.backend.backend() == "tensorflow", keras.backend.backend()
assert tensorflow.keras.__version__ == keras.__version__, "TensorFlow's Keras is not Keras 3"
assert api_implementation.Type() != "python", "protobuf's slow implementation is in use"
assert tensorflow.linalg.trace(tensorflow.eye(3)) == 3

nvidia = pathlib.Path(tensorflow.__file__).parents[1] / "nvidia"
if nvidia.is_dir():  # the GPU variant; the driver itself, libcuda, comes from the machine
    for library in ("cudart.so.12", "cublas.so.12", "cublasLt.so.12", "cufft.so.11", "curand.so.10",
                    "cusolver.so.11", "cusparse.so.12", "cupti.so.12", "nccl.so.2", "cudnn.so.9",
                    "cudnn_ops.so.9", "cudnn_cnn.so.9", "nvJitLink.so.12"):
        ctypes.CDLL(f"lib{library}")
print(f"smoke: {len(ours)} of our modules, TensorFlow {tensorflow.__version__}, Keras {keras.__version__}")
PYTHON
