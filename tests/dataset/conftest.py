"""What the tests of data sets share: records, shards, a folder of them, an image in two formats."""

import numpy as np
import pytest
from record_fixtures import encode, example, write_manifest, write_shards


@pytest.fixture(scope="module")
def array():
    return np.random.default_rng(0).integers(0, 256, (20, 24, 3)).astype(np.uint8)


@pytest.fixture(scope="module")
def image(encode, array):
    return encode(array)


@pytest.fixture(scope="module")
def jpeg(encode, array):
    return encode(array, "JPEG")


@pytest.fixture
def folder(tmp_path, write_shards):
    folder = tmp_path / "my dätä [1]"
    write_shards(folder, "train", [[b"a", b"bc", b""], [], [b"d"] * 4])
    write_shards(folder, "val", [[], [b"x", b"y"]])
    return folder
