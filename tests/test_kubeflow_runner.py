"""kubeflow_runner.py as a user meets it: the compiled file, and whether a file is one."""

import getpass
import json
import re
import resource
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from kubeflow_commands import KFP, SCRIPT, VERTEX, ended, start

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
