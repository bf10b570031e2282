"""submit and upload: what Kubeflow's server is asked, and what is told of its answer."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import kfp
import pytest
from compiling import EVERY_SETTING, ROOT, compiled
from kfp_server import KfpServer

import kubeflow_runner

SCRIPT = Path(kubeflow_runner.__file__)


@pytest.fixture
def server(monkeypatch, tmp_path) -> Iterator[KfpServer]:
    # The user's own, where a namespace is kept.
    monkeypatch.setattr(kfp.Client, "_LOCAL_KFP_CONTEXT", str(tmp_path / "none.json"))
    monkeypatch.setenv("HOME", str(tmp_path))
    with KfpServer() as server:
        yield server


@pytest.fixture(scope="module")
def kfp_file(tmp_path_factory) -> Path:
    file = tmp_path_factory.mktemp("a folder") / "pipeline.yaml"
    file.write_text(compiled(cluster=EVERY_SETTING).to_text(), "utf-8")
    return file


def test_a_run_has_the_whole_file_and_just_the_given_parameters(server, kfp_file, command):
    flags = [kfp_file, "--run-name", "first", "--experiment", "digits"]
    given = ["--trainer.epochs", "3", "--trainer.learning_rate", "1", "--data", "s3://b/d"]
    done = command("submit", "--host", f"{server.url}/", *flags, *given)
    assert done == (0, f"started {server.url}/#/runs/details/run-1\n", "")
    package = compiled(cluster=EVERY_SETTING)
    run = server.asked("runs").json
    assert run["pipeline_spec"] == {
        "pipeline_spec": package.spec,
        "platform_spec": package.platforms,
    }
    assert run["display_name"] == "first"
    assert run["experiment_id"] == "experiment-digits"
    assert run["runtime_config"] == {
        "parameters": {"epochs": 3, "learning_rate": 1.0, "data": "s3://b/d"},
        "pipeline_root": ROOT,
    }


def test_without_flags_a_run_has_the_defaults(server, kfp_file, command, monkeypatch):
    server.experiments = ["fishnet"]
    monkeypatch.chdir(kfp_file.parent)
    assert command("submit", "--host", server.url)[0] == 0
    run = server.asked("runs").json
    assert run["runtime_config"] == {"parameters": {}, "pipeline_root": ROOT}
    assert run["experiment_id"] == "experiment-fishnet"
    assert run["display_name"].startswith("pipeline.yaml 20")
    posts = [request.path for request in server.requests if request.method == "POST"]
    assert posts == ["runs"]  # the experiment was there already


def test_a_run_may_write_elsewhere(server, kfp_file, command):
    flags = [kfp_file, "--pipeline-root", "minio://other/runs/"]
    assert command("submit", "--host", server.url, *flags)[0] == 0
    assert server.asked("runs").json["runtime_config"]["pipeline_root"] == "minio://other/runs"


def test_the_push_destination_may_be_a_volume(server, kfp_file, command):
    submit = ("submit", "--host", server.url, kfp_file, "--push-destination")
    assert command(*submit, "/models/fishnet")[0] == 0
    parameters = server.asked("runs").json["runtime_config"]["parameters"]
    assert parameters == {"push_destination": "/models/fishnet"}
    code, _, errors = command(*submit, "/modelsfishnet")
    assert code == 2
    assert "does not see this folder. It sees gs://…, s3://…, minio://…, /checkpoints/…" in errors


def test_token_and_namespace_go_with_every_request(server, kfp_file, command, tmp_path):
    token = tmp_path / "token"
    token.write_text("s3cret\n")
    flags = ["--token-file", token, "--namespace", "team-a", kfp_file]
    done = command("submit", "--host", server.url, *flags)
    assert done == (0, f"started {server.url}/#/runs/details/run-1\n", "")
    assert {request.headers.get("authorization") for request in server.requests} == {
        "Bearer s3cret"
    }
    assert server.asked("experiments", "GET").query["namespace"] == "team-a"
    assert server.asked("experiments").json["namespace"] == "team-a"


def test_a_first_upload_and_its_version(server, kfp_file, command):
    done = command("upload", "--host", server.url, kfp_file, "--version", "v1")
    assert done == (0, "kept as fishnet, version v1, id pipeline-fishnet\n", "")
    for path in ("pipelines/upload", "pipelines/upload_version"):
        assert kfp_file.read_bytes() in server.asked(path).body
    assert server.asked("pipelines/upload").query["name"] == "fishnet"
    version = server.asked("pipelines/upload_version").query
    assert (version["name"], version["pipelineid"]) == ("v1", "pipeline-fishnet")


def test_a_further_upload_is_a_version(server, kfp_file, command):
    server.pipelines = ["mine"]
    flags = [kfp_file, "--version", "v2", "--name", "mine", "--namespace", "team-a"]
    done = command("upload", "--host", server.url, *flags)
    assert done == (0, "kept as mine, version v2, id pipeline-mine\n", "")
    assert server.asked("pipelines", "GET").query["namespace"] == "team-a"
    posts = [request.path for request in server.requests if request.method == "POST"]
    assert posts == ["pipelines/upload_version"]


@pytest.mark.parametrize(
    ("path", "status", "body", "told"),
    [
        ("healthz", 401, "Unauthorized", "401 Unauthorized: Unauthorized"),
        ("healthz", 404, "<html>\n  <h1>Not here</h1>\n</html>", "404 Not Found: <html> <h1>Not"),
        ("experiments", 403, '{"error": "no", "code": 7}', "403 Forbidden: no"),
        ("runs", 400, '{"message": "bad\\n spec", "code": 3}', "400 Bad Request: bad spec"),
        ("runs", 500, '{"error": "down"}', "500 Internal Server Error: down"),
        ("runs", 503, "x" * 5000, "503 Service Unavailable: xxx"),
    ],
)
def test_a_refusal_is_told_in_one_line(server, kfp_file, command, path, status, body, told):
    server.refusals[path] = (status, body)
    code, screen, errors = command("submit", "--host", server.url, kfp_file)
    assert (code, screen) == (1, "")
    assert errors.startswith(f"error: {server.url}: {told}")
    assert errors.count("\n") == 1
    assert len(errors) < 600


@pytest.mark.parametrize("path", ["pipelines", "pipelines/upload", "pipelines/upload_version"])
def test_a_refused_upload_is_told_in_one_line(server, kfp_file, command, path):
    server.refusals[path] = (409, '{"error": "already there", "code": 6}')
    code, screen, errors = command("upload", "--host", server.url, kfp_file, "--version", "v")
    assert (code, screen) == (1, "")
    assert errors == f"error: {server.url}: 409 Conflict: already there\n"


def test_a_login_page_is_no_answer(server, kfp_file, command):
    page = (200, "<html>please log in</html>")
    server.refusals = dict.fromkeys(("healthz", "experiments", "runs"), page)
    code, screen, errors = command("submit", "--host", server.url, kfp_file)
    assert (code, screen) == (1, "")
    assert "the answer has no id. Is this the API of Kubeflow Pipelines" in errors


def test_a_host_that_is_down_is_told_in_one_line(kfp_file, command):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        host = f"http://127.0.0.1:{unused.getsockname()[1]}"
        code, screen, errors = command("submit", "--host", host, kfp_file)
    assert (code, screen) == (1, "")
    assert errors.startswith(f"error: {host}: ")
    assert "Connection refused" in errors
    assert " object at 0x" not in errors
    assert errors.count("\n") == 1


def test_a_host_that_never_answers_is_told_in_one_line(kfp_file, command, monkeypatch):
    monkeypatch.setattr("pipeline.kubeflow.submission.ANSWER_SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        host = f"http://127.0.0.1:{silent.getsockname()[1]}"
        code, screen, errors = command("submit", "--host", host, kfp_file)
    assert (code, screen) == (1, "")
    assert errors.startswith(f"error: {host}: ")
    assert "gave no answer within 0.1 s, each time" in errors
    assert errors.count("\n") == 1


SUBMIT, UPLOAD = ("submit",), ("upload", "--version", "v")


@pytest.mark.parametrize(
    ("what", "silent", "told"),
    [
        (SUBMIT, ("GET", "experiments"), "gave no answer within 0.5 s, each time"),
        (SUBMIT, ("POST", "experiments"), "It may have done what was asked all the same"),
        (SUBMIT, ("POST", "runs"), "took the request and gave no answer within 0.5 s"),
        (UPLOAD, ("GET", "pipelines"), "gave no answer within 0.5 s, each time"),
        (UPLOAD, ("POST", "pipelines/upload"), "look at its pages before you ask again"),
        (UPLOAD, ("POST", "pipelines/upload_version"), "look at its pages before you ask again"),
    ],
)
def test_every_request_has_a_time_limit(server, kfp_file, command, monkeypatch, what, silent, told):
    monkeypatch.setattr("pipeline.kubeflow.submission.ANSWER_SECONDS", 0.5)
    server.silent = silent
    # With a namespace kfp's client does not ask for the server's health first.
    code, screen, errors = command(*what, kfp_file, "--host", server.url, "--namespace", "a")
    assert (code, screen) == (1, "")
    assert errors.startswith(f"error: {server.url}: ")
    assert told in errors
    assert errors.count("\n") == 1
    posts = [r.path for r in server.requests if (r.method, r.path) == silent]
    assert len(posts) == (4 if silent[0] == "GET" else 1)  # nothing is done twice


@pytest.mark.parametrize(
    ("what", "path"), [(SUBMIT, "healthz"), (SUBMIT, "runs"), (UPLOAD, "pipelines/upload")]
)
def test_a_proxys_login_page_is_not_followed_and_told_of(server, kfp_file, command, what, path):
    server.refusals[path] = (302, f"{server.url}/dex/auth?client_id=kubeflow")
    code, screen, errors = command(*what, kfp_file, "--host", server.url)
    assert (code, screen) == (1, "")
    assert errors.startswith(f"error: {server.url}: 302 Found, on to {server.url}/dex/auth: ")
    assert "--token-file" in errors
    assert "port-forward" in errors
    assert errors.count("\n") == 1
    assert not any("dex" in request.path for request in server.requests)


@pytest.mark.parametrize("content", [b"", b"two words", b"a\nb", b"\xff\xfe"])
def test_a_token_is_one_word(server, kfp_file, command, tmp_path, content):
    token = tmp_path / "token"
    token.write_bytes(content)
    code, _, errors = command("submit", "--host", server.url, kfp_file, "--token-file", token)
    assert code == 2
    assert errors == f"error: --token-file {token}: holds no token, which is one word\n"
    assert server.requests == []


def test_a_pipeline_that_cannot_run_is_not_submitted(server, command, tmp_path):
    file = tmp_path / "pipeline.yaml"
    text = compiled().to_text()
    file.write_text(text.replace('schemaVersion: "2.1.0"', 'schemaVersion: "2.0.0"'))
    code, _, errors = command("submit", "--host", server.url, file)
    assert code == 1
    assert errors == (
        f"error: {file} cannot be carried out:\n  schemaVersion is 2.0.0, not 2.1.0\n"
    )
    assert server.requests == []


def test_the_command_submits(server, kfp_file):
    run = subprocess.run(
        [sys.executable, SCRIPT, "submit", "--host", server.url, kfp_file],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (run.returncode, run.stdout, run.stderr) == (
        0,
        f"started {server.url}/#/runs/details/run-1\n",
        "",
    )
