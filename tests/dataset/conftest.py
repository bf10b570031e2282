"""What the tests of data sets share: records and shards, and an image in two formats."""

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
