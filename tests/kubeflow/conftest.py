"""Kubeflow in the tests: object stores, and whether pods can be made."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from kubeflow.emulator import Emulator
from kubeflow.object_store import ObjectStore
from kubeflow.pod import why_unavailable
from kubeflow.specs import pipeline, write

ROOT = "minio://bucket/v2/artifacts"


@pytest.fixture(scope="session")
def pods() -> None:
    """Skips the test where no pod can be made."""
    if reason := why_unavailable():
        pytest.skip(f"no pods on this machine: {reason}")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ObjectStore]:
    """Object stores with an empty bucket `bucket`; minio:// and s3:// share theirs."""
    with ObjectStore(tmp_path / "gs") as store:
        store.create_bucket("minio://bucket")
        store.create_bucket("gs://bucket")
        yield store


@pytest.fixture
def emulator(store, tmp_path):
    """Makes an Emulator of documents."""

    def make(*documents, root=ROOT, **options):
        file = write(tmp_path / "pipeline.yaml", *documents)
        return Emulator(file, store, root, tmp_path / "pods", **options)

    return make


@pytest.fixture
def run(emulator):
    """Runs tasks as a pipeline."""

    def run_tasks(tasks, parameters=None, **options):
        return emulator(pipeline(tasks), **options).run(parameters)

    return run_tasks
