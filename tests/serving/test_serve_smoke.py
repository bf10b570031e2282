"""scripts/serve_smoke.sh, with a stand-in for Docker and the double for the server."""

import os
import shutil
import subprocess
import sys

import pytest
from commands import ROOT
from double import serve_grpc, serve_rest

HOST = "127.0.0.77"  # a loopback address whose ports 8500 and 8501 nobody else is likely to use

# `docker` that notes its arguments and succeeds.
DOCKER = '#!/bin/sh\necho "$MODELS: $*" >>"$(dirname "$0")/calls"\n'


@pytest.fixture
def tools(tmp_path):
    """A folder for PATH: what the script calls, and no Docker."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for tool in ("bash", "env", "dirname", "ls", "realpath", "mktemp", "rm", "sed"):
        (tools / tool).symlink_to(shutil.which(tool))
    return tools


@pytest.fixture
def docker(tools):
    """The stand-in; gives the file of its calls."""
    (tools / "docker").write_text(DOCKER)
    (tools / "docker").chmod(0o755)
    return tools / "calls"


@pytest.fixture
def models(tmp_path):
    (tmp_path / "serving" / "fishnet" / "7").mkdir(parents=True)
    return tmp_path / "serving"


def smoke(tools, **environment):
    return subprocess.run(
        [ROOT / "scripts" / "serve_smoke.sh"],
        env={"PATH": str(tools), "PYTHON": sys.executable, "BIND": HOST, **environment},
        capture_output=True,
        text=True,
    )


def test_without_docker_it_says_so(tools, models):
    done = smoke(tools, MODELS=str(models))
    assert (done.returncode, done.stdout) == (1, "")
    assert "Docker with its compose plugin was not found: nothing was tried" in done.stderr


def test_without_a_model_nothing_is_started(tools, docker, tmp_path):
    done = smoke(tools, MODELS=str(tmp_path))
    assert (done.returncode, done.stdout) == (1, "")
    assert f"{tmp_path}/fishnet holds no version" in done.stderr
    assert " up " not in docker.read_text()


def test_dead_server_is_a_failure_and_is_taken_down(tools, docker, models):
    done = smoke(tools, MODELS=str(models))
    assert done.returncode != 0
    assert "is not available" in done.stderr
    assert docker.read_text().splitlines()[-1].endswith("down")


@pytest.mark.slow
def test_server_is_started_asked_and_taken_down(tools, docker, models, double):
    try:
        rest, (grpc, port) = serve_rest(double, HOST, 8501), serve_grpc(double, HOST, 8500)
    except (OSError, RuntimeError):
        pytest.skip(f"needs the ports 8500 and 8501 of {HOST}")
    done = smoke(tools, MODELS=os.path.relpath(models, ROOT))
    rest.shutdown()
    rest.server_close()
    grpc.stop(0)
    assert (done.returncode, done.stderr, port) == (0, "", 8500)
    answer, last = done.stdout.splitlines()
    assert answer.startswith("image.png  käfer")
    assert last == "serve-smoke: the server answers by REST and gRPC"
    assert double.batch_sizes == [1, 1]
    calls = docker.read_text().splitlines()
    compose = f"{models}: compose -p fishnet-smoke -f serving/compose.yaml"
    assert calls[-2:] == [
        f"{compose} up --wait --wait-timeout 300 server",
        f"{compose} down",
    ]
