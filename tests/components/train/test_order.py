import itertools
from collections import Counter

import pytest
import tensorflow as tf

from components.train import order

FILES = 12  # more than are read at a time
RECORDS = 240
SEEDS = (1, 0)  # TensorFlow's `shuffle` treats 0 as no seed


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Files of the numbers 0 to RECORDS - 1, one of them empty, none as long as another."""
    folder = tmp_path_factory.mktemp("examples")
    cuts = [0, 0, *(n * (n + 1) * RECORDS // (FILES * (FILES - 1)) for n in range(1, FILES))]
    for index, (begin, end) in enumerate(itertools.pairwise(cuts)):
        with tf.io.TFRecordWriter(f"{folder}/data-{index:05d}.gz", "GZIP") as writer:
            for number in range(begin, end):
                writer.write(b"%d" % number)
    return [f"{folder}/*"]


def numbers(dataset: tf.data.Dataset) -> list[int]:
    return [int(serialized) for serialized in dataset.as_numpy_iterator()]


def epochs(files, first: int, last: int, seed: int = 1, buffer: int = 50) -> list[list[int]]:
    found = numbers(order.shuffled(files, RECORDS, seed, buffer, range(first, last)))
    return [found[n : n + RECORDS] for n in range(0, len(found), RECORDS)]


def test_reading_gives_each_example_once_in_the_same_order(files):
    found = numbers(order.read(files))
    assert sorted(found) == list(range(RECORDS))
    assert numbers(order.read(files)) == found


def test_absent_files_are_told(tmp_path):
    with pytest.raises(FileNotFoundError, match=rf"{tmp_path}/\*: no such examples"):
        order.read([f"{tmp_path}/*"])


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("buffer", [1, 50, RECORDS])
def test_each_epoch_takes_each_example_once_in_an_order_of_its_own(files, seed, buffer):
    found = epochs(files, 0, 3, seed, buffer)
    assert [sorted(epoch) for epoch in found] == [list(range(RECORDS))] * 3
    assert len({tuple(epoch) for epoch in [*found, numbers(order.read(files))]}) == 4


@pytest.mark.parametrize("seed", SEEDS)
def test_order_of_an_epoch_depends_on_its_number_and_the_seed_alone(files, seed):
    found = epochs(files, 0, 3, seed)
    tf.random.set_seed(99)  # as whoever trains does, or not
    assert epochs(files, 2, 3, seed) == found[2:]
    assert epochs(files, 2, 3, seed + 2) != found[2:]


def test_epochs_of_a_single_file_differ_too(tmp_path):
    """Most small data sets have but one; no order of files mixes it."""
    with tf.io.TFRecordWriter(f"{tmp_path}/data.gz", "GZIP") as writer:
        for number in range(RECORDS):
            writer.write(b"%d" % number)
    found = epochs([f"{tmp_path}/*"], 0, 3)
    assert [sorted(epoch) for epoch in found] == [list(range(RECORDS))] * 3
    assert len({tuple(epoch) for epoch in found}) == 3
    assert epochs([f"{tmp_path}/*"], 2, 3) == found[2:]
    assert epochs([f"{tmp_path}/*"], 0, 3, seed=2) != found


def test_an_epoch_may_leave_out_a_rest(files):
    found = numbers(order.shuffled(files, 200, 1, 50, range(2)))
    for epoch in (found[:200], found[200:]):
        assert max(Counter(epoch).values()) == 1


def test_fewer_examples_than_an_epoch_takes_are_an_error(files):
    dataset = order.shuffled(files, RECORDS + 1, 1, 50, range(2))
    with pytest.raises(tf.errors.FailedPreconditionError, match="expected to contain 241 elements"):
        numbers(dataset)


@pytest.mark.parametrize(
    ("megabytes", "record_bytes", "records"),
    [(256, 2_000_000, 127), (256, 2_000, 117_972), (1, 2_000_000, 1), (1, 0, 5_882)],
)
def test_buffer_has_as_many_records_as_its_bytes_allow(megabytes, record_bytes, records):
    assert order.buffer_size(megabytes, record_bytes) == records
