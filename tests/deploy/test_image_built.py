"""The Dockerfile is carried out and what it makes is run: with a read-only root, as its user."""

import json
import re
import shutil
import socket
import subprocess
import time
from pathlib import Path

import clean_root
import pytest

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.slow

# What Beam's own boot does where it is asked to be a worker pool, and to a call for help.
BOOT = """#!/bin/sh
[ "$1" = --help ] && { echo "  -semi_persist_dir string"; exit; }
exec python -m apache_beam.runners.worker.worker_pool_main "$@"
"""


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    if reason := clean_root.why_not():
        pytest.skip(f"no clean root can be built here: {reason}")
    folder = tmp_path_factory.mktemp("clean_root")
    try:
        boot = folder / "beam" / "opt" / "apache" / "beam" / "boot"
        boot.parent.mkdir(parents=True)
        boot.write_text(BOOT)
        boot.chmod(0o755)
        bases = {
            "python": clean_root.base_image(folder),
            "beam": clean_root.Image([folder / "beam"]),
        }
        builder = clean_root.Builder(folder, ROOT, bases)
        yield builder.build(
            ROOT / "deploy" / "Dockerfile", {"PYTHON_IMAGE": "python", "BEAM_IMAGE": "beam"}
        )
    finally:
        shutil.rmtree(folder)


@pytest.mark.parametrize("user", ["10001:10001", "54321:0"])
def test_a_finished_image_passes_its_own_check(image, user):
    """54321:0 is a user of no name, as OpenShift gives one."""
    assert "smoke: " in image.run("/opt/image/smoke.sh", user=user)


def test_nothing_is_in_the_image_that_is_not_run(image):
    assert image.user == "10001:10001"
    folders = "/opt /opt/image /opt/fishnet-tfx /opt/venv /opt/venv/bin /usr/local/bin /tmp"
    names = set(image.run("sh", "-c", f"ls -A {folders}").split())
    assert {"apache", "smoke.sh", "components", "local_runner.py", "python"} <= names
    assert not names & {"tests", "docs", "shared", "benchmarks", "setup.py", ".git", ".lock"}
    assert not names & {"uv", "ruff", "pytest", "mypy", "hadolint"}
    assert image.run("sh", "-c", "command -v gcc cc make git || true") == ""
    anybodys = "find / -xdev -perm -0002 -not -type l -not -path /tmp"
    others = "-not -path '/var/tmp' -not -path '/run/lock'"
    assert image.run("sh", "-c", f"{anybodys} {others}", user="0:0") == ""


def test_bytecode_is_there_and_is_never_taken_for_stale(image):
    """Without it importing takes longer by half a minute, and nothing could be added later."""
    code = """
import argparse, pathlib, tensorflow, tfx, local_runner
for module in (argparse, tensorflow, tfx, local_runner):
    assert pathlib.Path(module.__cached__).exists(), module
for folder in ("/opt", "/usr/local"):
    for path in pathlib.Path(folder).rglob("*.pyc"):
        with path.open("rb") as file:
            flags = file.read(8)[4:]
        assert flags == b"\\x01\\0\\0\\0", (path, flags)  # PEP 552: not checked against the source
"""
    image.run("python", "-c", code)


def test_the_pipeline_runs_with_a_read_only_root(image):
    flags = "--output /tmp/run --trainer.epochs 1 --evaluator.min_top1 0"
    script = f"cd /tmp && python -m local_runner {flags} && cat /tmp/run/summary.json"
    written = image.run("sh", "-c", script)
    assert re.search(r"^verdict +pushed$", written, re.MULTILINE), written
    assert "Read-only file system" not in written
    assert "Permission denied" not in written


def wait_for(port, seconds=120):
    """Waits until a server listens."""
    end = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except ConnectionRefusedError:
            assert time.monotonic() < end, "the worker pool does not listen"
            time.sleep(0.2)


# Submits a pipeline to a worker pool, which carries it out.
SUBMIT = """
import sys
import apache_beam as beam
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.testing.util import assert_that, equal_to
from apache_beam.transforms.environments import ExternalEnvironment

def where(_):
    import os, sys
    from pathlib import Path
    import components.transform.preprocessing as ours
    return sys.prefix, str(Path(ours.__file__).parents[2]), os.getuid()

runner = FnApiRunner(default_environment=ExternalEnvironment(f"localhost:{sys.argv[1]}"))
with beam.Pipeline(runner=runner) as pipeline:
    places = pipeline | beam.Create([0]) | beam.Map(where)
    assert_that(places, equal_to([("/opt/venv", "/opt/fishnet-tfx", 10001)]))
"""


def test_the_image_is_a_beam_worker(image):
    """One container's entry point carries out what another one submits, as another user."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    [entry_point] = json.loads(image.entrypoint)
    command, environment = image.command(entry_point, f"--service_port={port}")
    with subprocess.Popen(command, env=environment) as pool:
        try:
            wait_for(port)
            image.run("python", "-c", SUBMIT, str(port), user="54321:0")
        finally:
            pool.terminate()
