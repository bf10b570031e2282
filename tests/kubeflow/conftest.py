"""Kubeflow in the tests: object stores, and whether pods can be made."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from kubeflow.object_store import ObjectStore
from kubeflow.pod import why_unavailable


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
