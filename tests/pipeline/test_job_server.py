"""Components on a job server of Beam's own, with a pool of workers."""

import contextlib
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import ROOT, run

from components.ingest.report import read_report


def free_port() -> int:
    with socket.socket() as bound:
        bound.bind(("localhost", 0))
        return bound.getsockname()[1]


@contextlib.contextmanager
def server(module: str, *arguments: str, log: Path, port: int) -> Iterator[None]:
    """A server of Beam's in a process of its own, from when it answers on `port`."""
    # A pool starts its workers by `python`.
    path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    env = {"PATH": path, "PYTHONPATH": str(ROOT), "HOME": str(log.parent)}
    command = [sys.executable, "-m", f"apache_beam.runners.{module}", *arguments]
    with log.open("w") as output:
        process = subprocess.Popen(command, env=env, stdout=output, stderr=subprocess.STDOUT)
    try:
        for _ in range(600):
            with contextlib.suppress(OSError), socket.create_connection(("localhost", port), 1):
                break
            time.sleep(0.1)
        yield
    finally:
        process.terminate()
        process.wait(30)


@pytest.mark.slow
def test_components_run_on_a_job_server_with_a_pool_of_workers(tmp_path):
    """As on Flink: but that the job server is Beam's own in Python, and all is on one machine."""
    jobs, pool = free_port(), free_port()
    pool_log = tmp_path / "pool.log"
    with (
        server(
            "portability.local_job_service_main",
            f"--port={jobs}",
            log=tmp_path / "jobs.log",
            port=jobs,
        ),
        server("worker.worker_pool_main", f"--service_port={pool}", log=pool_log, port=pool),
    ):
        ended = run(
            tmp_path,
            *("--to", "Transform", "--beam.runner", "flink", "--beam.shared_folders", "True"),
            f"--beam.args=--job_endpoint=localhost:{jobs}",
            "--beam.args=--environment_type=EXTERNAL",
            f"--beam.args=--environment_config=localhost:{pool}",
        )
    assert (ended.exit_code, ended.errors) == (0, ""), ended.screen
    workers = pool_log.read_text().count("Starting worker with command")
    assert workers == 3, "ImportExampleGen, StatisticsGen, Transform"
    artifacts = ended.output / "artifacts"
    [folder] = artifacts.glob("ImportExampleGen/report/*")
    report = read_report(str(folder))
    assert (report.good("train"), report.good("val"), report.faults) == (1437, 360, {})
    assert len(list(artifacts.glob("Transform/transform_graph/*/transform_fn/saved_model.pb"))) == 1
    assert len(list(artifacts.glob("StatisticsGen/statistics/*/Split-*/FeatureStats.pb"))) == 2
