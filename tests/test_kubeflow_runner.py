"""kubeflow_runner.py as a user meets it: the compiled file, and what is said of wrong commands."""

import getpass
import json
import os
import re
import resource
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

import kubeflow_runner

SCRIPT = Path(kubeflow_runner.__file__)
IMAGE = f"registry/fishnet@sha256:{'a' * 64}"
KFP = ("--image", IMAGE, "--pipeline-root", "minio://bucket/below")
VERTEX = ("--target", "vertex", "--image", IMAGE, "--pipeline-root", "gs://bucket/below")
SETTINGS = (
    *("--preset", "digits", "--cluster.resources.Trainer.gpus", "1"),
    *("--cluster.environment", "TZ=UTC", "--evaluator.min_top1", "1e-7"),
)
PODS = ("--cluster.volumes", "models:/models", "--cluster.secrets", "wandb/key=WANDB_API_KEY")

# Of a user's environment; none of it may get into a file.
SECRETS = {
    "AWS_ACCESS_KEY_ID": "canary1",
    "AWS_SECRET_ACCESS_KEY": "canary2",
    "GOOGLE_APPLICATION_CREDENTIALS": "/canary3/key.json",
    "GOOGLE_CLOUD_PROJECT": "canary4",
    "HTTPS_PROXY": "http://user:canary5@proxy:3128",
    "KF_PIPELINES_ENDPOINT": "http://canary6",
}
NO_NETWORK = ("unshare", "--map-root-user", "--net")


def start(
    cwd: Path, *arguments: object, prefix: Sequence[str] = (), **environment: str
) -> subprocess.Popen:
    """Starts `python kubeflow_runner.py` in `cwd`, with no environment but the given one."""
    return subprocess.Popen(
        [*prefix, sys.executable, SCRIPT, *arguments],
        cwd=cwd,
        env={"PATH": os.environ["PATH"], **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(process: subprocess.Popen) -> tuple[int, str, str]:
    """Exit code, stdout and stderr."""
    screen, errors = process.communicate()
    return process.returncode, screen, errors


def networks_can_be_taken_away() -> bool:
    try:
        return subprocess.run([*NO_NETWORK, "true"], check=False).returncode == 0
    except FileNotFoundError:
        return False


@pytest.fixture(scope="module")
def compiled(tmp_path_factory) -> dict[str, Path]:
    """Files by name: kfp and vertex of one user, again of another on another machine."""
    one = tmp_path_factory.mktemp("one user's folder")
    other = tmp_path_factory.mktemp("other")
    (other / ".keras").mkdir()
    (other / ".keras" / "keras.json").write_text('{"backend": "jax"}')
    ones = {"HOME": str(one), "TMPDIR": str(one), "LC_ALL": "C", "PYTHONHASHSEED": "1", **SECRETS}
    others = {"HOME": str(other), "LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "2", "USER": "canary7"}
    prefix = NO_NETWORK if networks_can_be_taken_away() else ()
    runs = [
        start(one, "compile", *KFP, *SETTINGS, *PODS, "--output", "k.yaml", prefix=prefix, **ones),
        start(other, "compile", *KFP, *SETTINGS, *PODS, "--output", other / "again.yaml", **others),
        start(one, "compile", *VERTEX, *SETTINGS, "--output", "v.json", prefix=prefix, **ones),
    ]
    assert [ended(run) for run in runs] == [
        (0, "wrote k.yaml\n", ""),
        (0, f"wrote {other / 'again.yaml'}\n", ""),
        (0, "wrote v.json\n", ""),
    ]
    return {"kfp": one / "k.yaml", "again": other / "again.yaml", "vertex": one / "v.json"}


@pytest.mark.slow
def test_the_same_flags_give_the_same_bytes(compiled):
    assert compiled["kfp"].read_bytes() == compiled["again"].read_bytes()


@pytest.mark.slow
def test_vertex_ais_bytes_are_the_same_too(compiled, command, tmp_path):
    again = tmp_path / "again.json"
    assert command("compile", *VERTEX, *SETTINGS, "--output", again)[0] == 0
    assert compiled["vertex"].read_bytes() == again.read_bytes()


@pytest.mark.slow
@pytest.mark.skipif(not networks_can_be_taken_away(), reason="unshare --net is not allowed here")
def test_compiling_needs_no_network_no_credentials_and_an_empty_home(compiled):
    assert compiled["kfp"].stat().st_size > 10_000


@pytest.mark.slow
@pytest.mark.parametrize("name", ["kfp", "vertex"])
def test_nothing_of_this_machine_is_in_the_file(compiled, name):
    text = compiled[name].read_text("ascii")
    local = [
        *(Path.home(), SCRIPT.parent, compiled["kfp"].parent, compiled["again"].parent),
        *(sys.prefix, sys.base_prefix, socket.gethostname()),
    ]
    assert [place for place in map(str, local) if place in text] == []
    assert re.findall(r"(?<![\w:/.@-])/(?:home|root|tmp|var|usr|opt|work|proc)\b.*", text) == []
    if getpass.getuser() != "root":
        assert getpass.getuser() not in text


@pytest.mark.slow
@pytest.mark.parametrize("name", ["kfp", "again", "vertex"])
def test_no_credential_is_in_the_file(compiled, name):
    assert "canary" not in compiled[name].read_text("ascii")


@pytest.mark.slow
def test_validate_takes_what_compile_wrote(compiled, command):
    for name in ("kfp", "vertex"):
        assert command("validate", compiled[name]) == (0, f"{compiled[name]}: valid\n", "")


def test_validate_tells_each_fault(command, tmp_path):
    file = tmp_path / "p.yaml"
    file.write_text("schemaVersion: 2.0.0\n")
    assert command("validate", file) == (
        1,
        "",
        f"error: {file} cannot be carried out:\n"
        "  pipelineInfo.name is missing\n"
        "  schemaVersion is 2.0.0, not 2.1.0\n"
        "  there are no tasks\n",
    )


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("p.yaml", b"\xff", "p.yaml is not a compiled pipeline"),
        ("p.json", b"{}", "p.json is not a compiled pipeline"),
        ("p.txt", b"a: 1", "p.txt is not a compiled pipeline; compile writes .yaml or .json"),
        ("p.yaml", json.dumps({"pipelineSpec": {}}).encode(), 'no field named "pipelineSpec"'),
        ("p.yaml", None, "p.yaml: No such file or directory"),
        (".", None, "Is a directory"),
    ],
)
@pytest.mark.parametrize("what", [["validate"], ["submit", "--host", "http://x"]])
def test_another_file_is_told_of_in_one_line(command, tmp_path, what, name, content, told):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    code, screen, errors = command(*what, tmp_path / name)
    assert (code, screen) == (1, "")
    assert told in errors
    assert errors.startswith("error: ")
    assert "Traceback" not in errors


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
    "two files to validate": (["validate", "a.yaml", "b.yaml"], ["b.yaml"]),
    "a flag of compile": (
        ["submit", "--trainer.momentum", "0.5"],
        ["--trainer.momentum is fixed when the pipeline is compiled"],
    ),
    "a cluster's setting": (["submit", "--cluster.retries=1"], ["--cluster.retries is fixed"]),
    "no epochs": (["submit", "--trainer.epochs", "0"], ["`trainer.epochs` must be positive", "0"]),
    "a name that is near": (["submit", "--epochs", "3"], ["--epochs", "--trainer.epochs"]),
    "no version": (["upload"], ["--version"]),
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
        (["--data", "minio://b/x"], "compiled without a place at minio://"),
        (["--data", "gs://b/../x"], "--data 'gs://b/../x': must be plain"),
        (["--pipeline-root", "gs://"], "--pipeline-root gs://: names no bucket"),
    ],
)
def test_a_run_is_not_started_at_a_place_that_cannot_be(flags, told, command, smallest):
    code, screen, errors = command("submit", smallest, *flags)
    assert (code, screen) == (2, "")
    assert told in errors


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


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["full disk", "interrupted"])
def test_an_older_file_stays_whole_if_the_new_one_cannot_be_written(
    fault, command, tmp_path, monkeypatch
):
    output = tmp_path / "pipeline.yaml"
    output.write_text("older")
    flags = ["compile", *KFP, *SETTINGS, "--output", output]
    if fault == "full disk":
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
        try:
            code, screen, errors = command(*flags)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert errors == f"error: --output {output}: File too large\n"
    else:

        def interrupted(*_: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(Path, "rename", interrupted)
        code, screen, errors = command(*flags)
        assert errors == "error: interrupted\n"
    assert (code, screen) == (1, "")
    assert output.read_text() == "older"
    assert list(tmp_path.iterdir()) == [output]


@pytest.mark.slow
def test_an_image_by_its_tag_is_taken_if_asked_for(command, tmp_path):
    output = tmp_path / "p.yaml"
    flags = ["--image", "registry/fishnet:1", "--allow-tag", "--output", output]
    assert command("compile", *KFP, *SETTINGS, *flags) == (0, f"wrote {output}\n", "")
    assert "image: registry/fishnet:1\n" in output.read_text()


@pytest.mark.slow
def test_folders_on_volumes_are_taken(command, tmp_path):
    output = tmp_path / "p.yaml"
    volumes = ["--cluster.volumes", "d:/data", "--cluster.volumes", "m:/models/"]
    folders = [
        "--data",
        "/data/a b/",
        "--push-destination",
        "/models/x/",
        "--checkpoints",
        "/data/c",
    ]
    assert command("compile", *KFP, *SETTINGS, *volumes, *folders, "--output", output)[0] == 0
    text = output.read_text()
    assert "defaultValue: /data/a b\n" in text
    assert "defaultValue: /models/x\n" in text
    assert '"checkpoints": "/data/c"' in text


@pytest.mark.slow
def test_checkpoints_may_be_in_kubeflows_own_store(command, tmp_path):
    output = tmp_path / "p.yaml"
    flags = ["--data", "gs://b/d", "--push-destination", "gs://b/s"]
    kubeflows = ["--checkpoints", "minio://mlpipeline/c/", "--output", output]
    assert command("compile", *KFP, *SETTINGS, *flags, *kubeflows)[0] == 0
    text = output.read_text()
    assert '"checkpoints": "minio://mlpipeline/c"' in text
    assert "http://minio-service.kubeflow:9000" in text


@pytest.mark.slow
def test_weights_to_start_from_may_be_in_kubeflows_own_store(command, tmp_path):
    output = tmp_path / "p.yaml"
    flags = ["--data", "gs://b/d", "--push-destination", "gs://b/s", "--output", output]
    weights = "minio://mlpipeline/w/model.keras"
    assert command("compile", *KFP, *SETTINGS, *flags, "--model.weights", weights)[0] == 0
    text = " ".join(output.read_text().split())  # a long value is folded
    assert f'"file": "{weights}"' in text
    assert "http://minio-service.kubeflow:9000" in text


@pytest.mark.slow
def test_the_file_behind_a_link_is_written_and_nothing_beside_it(command, tmp_path):
    (tmp_path / ".p.yaml").write_text("another's")
    (tmp_path / "p.yaml").symlink_to(tmp_path / "target.yaml")
    output = tmp_path / "p.yaml"
    assert command("compile", *KFP, *SETTINGS, "--output", output)[0] == 0
    assert output.is_symlink()
    assert "schemaVersion" in (tmp_path / "target.yaml").read_text()
    assert (tmp_path / ".p.yaml").read_text() == "another's"
    assert len(list(tmp_path.iterdir())) == 3
