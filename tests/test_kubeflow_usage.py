"""kubeflow_runner.py's help, and what is said of wrong commands."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from kubeflow_commands import IMAGE, KFP, SCRIPT, VERTEX, ended, start


def compile_kfp(*flags: str) -> list[str]:
    return ["compile", *KFP, *flags]


def compile_vertex(*flags: str) -> list[str]:
    return ["compile", *VERTEX, "--output", "p.json", *flags]


@pytest.fixture(scope="module")
def smallest(tmp_path_factory) -> Path:
    """A compiled pipeline of one task, below gs://."""
    spec = {
        "schemaVersion": "2.1.0",
        "pipelineInfo": {"name": "smallest"},
        "defaultPipelineRoot": "gs://bucket/root",
        "root": {"dag": {"tasks": {"A": {"componentRef": {"name": "A"}}}}},
        "components": {"A": {"executorLabel": "a"}},
        "deploymentSpec": {"executors": {"a": {"container": {"image": "i"}}}},
    }
    file = tmp_path_factory.mktemp("smallest") / "p.yaml"
    file.write_text(json.dumps(spec))
    return file


USAGE_ERRORS = {
    "no such command": (["compil"], ["'compil': no such command", "Did you mean compile?"]),
    "no image": (["compile"], ["--image is missing"]),
    "an image by its tag": (
        ["compile", "--image", "registry/fishnet:latest"],
        ["registry/fishnet:latest", "by its digest, NAME@sha256:", "--allow-tag"],
    ),
    "a short digest": (
        ["compile", "--image", "a@sha256:12", "--allow-tag"],
        ["is no image's name", "64 digits"],
    ),
    "an image of two words": (["compile", "--image", f"a {IMAGE}"], ["is no image's name"]),
    "an image in capitals": (["compile", "--image", f"r/{IMAGE.upper()}"], ["in lower case"]),
    "an image by its URL": (["compile", "--image", f"http://{IMAGE}"], ["is no image's name"]),
    "an image of nothing": (
        ["compile", "--image", " ", "--allow-tag"],
        ["--image ' ': is no image's name"],
    ),
    "no root": (["compile", "--image", IMAGE], ["--pipeline-root is missing"]),
    "a local root": (compile_kfp("--pipeline-root", "/tmp/x"), ["/tmp/x", "gs:// or s3://"]),
    "a root without bucket": (compile_kfp("--pipeline-root", "gs://"), ["names no bucket"]),
    "a pattern in the root": (
        compile_kfp("--pipeline-root", "gs://b/a*"),
        ["gs://b/a*", "pattern"],
    ),
    "a bucket of no name": (compile_kfp("--data", "minio://"), ["--data minio://", "no bucket"]),
    "a folder above": (
        compile_kfp("--push-destination", "/models/../x", "--cluster.volumes", "m:/models"),
        ["--push-destination '/models/../x'", "plain"],
    ),
    "a folder of no name": (compile_kfp("--data", "gs://b//x"), ["--data 'gs://b//x'", "plain"]),
    "a space at the end": (
        compile_kfp("--pipeline-root", "gs://b/x "),
        ["--pipeline-root 'gs://b/x '", "plain"],
    ),
    "a line's end": (compile_kfp("--data", "gs://b/x\ny"), ["--data", "plain"]),
    "S3 and MinIO": (
        compile_kfp("--data", "s3://b/x"),
        ["--data s3://b/x", "in Kubeflow's own store", "take minio:// or s3:// for both"],
    ),
    "a folder for a file": (compile_kfp("--output", "/"), ["--output /"]),
    "a learning rate without end": (
        ["submit", "--trainer.learning_rate", "inf"],
        ["`trainer.learning_rate` must be a finite number"],
    ),
    "too many epochs": (
        ["submit", "--trainer.epochs", "99999999999999999999"],
        ["`trainer.epochs` must be a finite number between -2^63 and 2^63"],
    ),
    "minio on Vertex AI": (
        compile_vertex("--pipeline-root", "minio://b/r"),
        ["minio://b/r", "must begin with gs://"],
    ),
    "local data": (compile_kfp("--data", "data/digits"), ["--data data/digits", "does not see"]),
    "a local push destination": (
        compile_kfp("--push-destination", "/models"),
        ["--push-destination /models", "does not see this folder"],
    ),
    "a folder beside the volume": (
        compile_kfp("--data", "/datasets/x", "--cluster.volumes", "d:/data"),
        ["--data /datasets/x", "/data/…"],
    ),
    "checkpoints on this machine": (
        compile_kfp("--checkpoints", "/c"),
        ["--checkpoints /c", "does not see this folder"],
    ),
    "checkpoints in another store": (
        compile_kfp("--data", "minio://b/d", "--checkpoints", "s3://b/c"),
        ["--checkpoints s3://b/c", "one address"],
    ),
    "weights on this machine": (
        compile_kfp("--model.weights", "/w/model.keras"),
        ["--model.weights /w/model.keras", "does not see this folder"],
    ),
    "weights of the last blessed model": (
        compile_kfp("--model.weights", "champion"),
        ["--model.weights champion", "not on Kubeflow", "give the URI"],
    ),
    "a pattern": (compile_kfp("--data", "gs://b/a[1]"), ["--data gs://b/a[1]", "pattern"]),
    "JSON for Kubeflow": (compile_kfp("--output", "p.json"), ["p.json", "kfp", ".yaml"]),
    "YAML for Vertex AI": (compile_vertex("--output", "p.yaml"), ["p.yaml", "vertex", ".json"]),
    "no such folder": (compile_kfp("--output", "/nope/p.yaml"), ["there is no folder /nope"]),
    "an unknown target": (["compile", "--target", "argo"], ["argo", "kfp", "vertex"]),
    "an unknown preset": (["compile", "--preset", "digit"], ["Did you mean digits?"]),
    "an unknown flag": (["compile", "--pipline-root", "x"], ["--pipline-root", "--pipeline_root"]),
    "an unknown setting": (["compile", "--cluster.volume", "x"], ["--cluster.volumes"]),
    "an unknown component": (
        ["compile", "--cluster.resources.Trainr.gpus", "1"],
        ["--cluster.resources.Trainer.gpus"],
    ),
    "an illegal setting": (
        compile_kfp("--cluster.volumes", "x"),
        ["`cluster.volumes` must be CLAIM"],
    ),
    "an illegal number": (compile_kfp("--cluster.retries", "-1"), ["`cluster.retries` must be 0"]),
    "no number": (compile_kfp("--cluster.retries", "x"), ["--cluster.retries", "x"]),
    "no memory": (
        compile_kfp("--cluster.resources.Trainer.memory", "0"),
        ["resources must be positive", "memory=0"],
    ),
    "a number of cores that is none": (
        compile_kfp("--cluster.resources.Trainer.cpu", "nan"),
        ["resources must be positive"],
    ),
    "an illegal field of the config": (
        compile_kfp("--trainer.epochs", "0"),
        ["`trainer.epochs` must be positive", "0"],
    ),
    "a volume on Vertex AI": (compile_vertex("--cluster.volumes", "a:/b"), ["/gcs/BUCKET"]),
    "a toleration on Vertex AI": (
        compile_vertex("--cluster.tolerations", "a:NoSchedule"),
        ["--cluster.tolerations", "not on Vertex AI"],
    ),
    "Vertex AI's GPU on Kubeflow": (
        compile_kfp("--cluster.accelerator", "NVIDIA_L4"),
        ["NVIDIA_L4", "nvidia.com/gpu"],
    ),
    "Kubeflow's GPU on Vertex AI": (
        compile_vertex("--cluster.accelerator", "nvidia.com/gpu"),
        ["nvidia.com/gpu", "NVIDIA_TESLA_T4"],
    ),
    "a GPU's kind without a GPU": (
        compile_kfp("--cluster.accelerator", "amd.com/gpu"),
        ["--cluster.accelerator amd.com/gpu", "--cluster.resources.Trainer.gpus"],
    ),
    "a GPU for a component that uses none": (
        compile_kfp("--cluster.resources.Transform.gpus", "1"),
        ["--cluster.resources.Transform.gpus 1", "Trainer and Tuner alone"],
    ),
    "a GPU for a Tuner that is not there": (
        compile_vertex("--cluster.resources.Tuner.gpus", "1"),
        ["--cluster.resources.Tuner", "--tuner.enable True"],
    ),
    "two files to validate": (["validate", "a.yaml", "b.yaml"], ["b.yaml"]),
    "a flag of compile": (
        ["submit", "--trainer.momentum", "0.5"],
        ["--trainer.momentum is fixed when the pipeline is compiled"],
    ),
    "a cluster's setting": (["submit", "--cluster.retries=1"], ["--cluster.retries is fixed"]),
    "no epochs": (["submit", "--trainer.epochs", "0"], ["`trainer.epochs` must be positive", "0"]),
    "a name that is near": (["submit", "--epochs", "3"], ["--epochs", "--trainer.epochs"]),
    "no version": (["upload"], ["--version"]),
    "a version without a name": (["upload", "--version", ""], ["--version", "is empty"]),
    "an experiment without a name": (["submit", "--experiment", " "], ["--experiment", "is empty"]),
}


@pytest.mark.parametrize("what", USAGE_ERRORS)
def test_usage_error(what, command):
    argv, told = USAGE_ERRORS[what]
    code, screen, errors = command(*argv)
    # the frame around tyro's messages breaks their lines
    text = " ".join((screen + errors).replace("│", " ").split())
    assert code == 2
    assert [part for part in told if part not in text] == []
    assert "Traceback" not in text


def test_a_host_is_needed(command, smallest):
    for what in (["submit"], ["upload", "--version", "v"]):
        code, _, errors = command(*what, smallest)
        assert code == 2
        assert errors.startswith("error: --host is missing: the URL of Kubeflow Pipelines")
        assert errors.count("\n") == 1


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--data", ""], "--data is empty"),
        (["--host", "x:1"], "--host 'x:1': must be a URL"),
        (["--host", "http://x", "--service-account", "me@x"], "--service-account: is not for"),
        (["--data", "minio://b/x"], "compiled without a place at minio://"),
        (["--data", "gs://b/../x"], "--data 'gs://b/../x': must be plain"),
        (["--pipeline-root", "gs://"], "--pipeline-root gs://: names no bucket"),
    ],
)
def test_a_run_is_not_started_at_a_place_that_cannot_be(flags, told, command, smallest):
    code, screen, errors = command("submit", smallest, *flags)
    assert (code, screen) == (2, "")
    assert told in errors


def test_a_kubeflow_servers_flags_are_not_for_vertex_ai(command, smallest):
    file = smallest.with_suffix(".json")
    file.write_text(json.dumps({"pipelineSpec": json.loads(smallest.read_text())}))
    code, _, errors = command(
        "submit", file, "--host", "http://x", "--project", "p", "--region", "r"
    )
    assert (code, errors) == (2, f"error: --host: is not for {file}, compiled for vertex\n")


HELP = [
    [*command, flag]
    for command in ([], ["compile"], ["validate"], ["submit"], ["upload"])
    for flag in ("--help", "-h")
]


@pytest.mark.parametrize("argv", HELP, ids=" ".join)
def test_help(argv, command):
    code, screen, errors = command(*argv)
    assert (code, errors) == (0, "")
    assert f"usage: kubeflow_runner.py {argv[0] if len(argv) > 1 else ''}" in screen


def test_help_and_usage_errors_wait_for_no_library(tmp_path):
    """TensorFlow, kfp and the clouds' libraries take seconds to load."""
    argvs = [*HELP, *(argv for argv, _ in USAGE_ERRORS.values())]
    code = f"""
import runpy, sys
import pipeline.kubeflow.package, pipeline.kubeflow.platform, pipeline.kubeflow.submission
for argv in {argvs!r}:
    sys.argv = ["kubeflow_runner.py", *argv]
    try:
        runpy.run_path({str(SCRIPT)!r}, run_name="__main__")
    except SystemExit:
        pass
clouds = {{"kfp", "kubernetes", "boto3", "google.cloud.storage", "google.cloud.aiplatform"}}
heavy = {{"tensorflow", "tfx", "keras", "apache_beam", "numpy", *clouds}}
sys.exit(f"imported: {{found}}" if (found := heavy & set(sys.modules)) else 0)
"""
    run = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(SCRIPT.parent)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize(
    ("argv", "exit_code", "told"),
    [
        (["compile", "--help"], 0, "GB (10? bytes)"),
        (["compile", "--image", "a:1"], 2, "NAME@sha256:"),
        (["submit", "--epochs", "3"], 2, "--trainer.epochs"),
    ],
)
def test_a_terminal_without_unicode_gets_the_message_too(argv, exit_code, told, tmp_path):
    environment = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    code, screen, errors = ended(start(tmp_path, *argv, **environment))
    assert code == exit_code
    assert told in screen + errors
    assert "Traceback" not in errors
