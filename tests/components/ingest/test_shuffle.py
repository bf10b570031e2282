import dataclasses
import itertools
from collections import Counter
from pathlib import Path

import apache_beam as beam
import numpy as np
import pytest
import tensorflow as tf

from components.ingest import shuffle
from components.ingest.shuffle import File, Run, WriteShuffled, plan_files, write_file
from dataset import tfrecord

pytestmark = pytest.mark.slow  # they run Beam

RECORDS = [b"%04d" % n * 25 for n in range(500)]  # of 100 bytes


@dataclasses.dataclass
class Written:
    files: list[list[bytes]]  # of `train`, the records of each
    val: list[bytes]
    runs: list[int]  # sizes

    @property
    def train(self) -> list[bytes]:
        return list(itertools.chain.from_iterable(self.files))


@pytest.fixture
def write(tmp_path_factory):
    """Function: records of `train`, bytes of a file → what is written."""

    def write(records: list[bytes], file_bytes: int) -> Written:
        folder = tmp_path_factory.mktemp("shuffled")
        files = plan_files({"train": sum(map(len, records)), "val": 1}, file_bytes)
        with beam.Pipeline(runner="FnApiRunner") as pipeline:
            (
                pipeline
                | beam.Create([("train", serialized) for serialized in records])
                | WriteShuffled(files, str(folder), str(folder / "runs"), file_bytes)
            )
        train, val = (
            [read(path) for path in sorted(folder.glob(f"Split-{split}/*.gz"))]
            for split in ("train", "val")
        )
        assert len(train) == len(files) - 1
        return Written(train, *val, [run.stat().st_size for run in folder.glob("runs/*")])

    return write


def read(path: Path) -> list[bytes]:
    return list(tf.data.TFRecordDataset(str(path), "GZIP").as_numpy_iterator())


def test_files_are_as_many_as_the_bytes_need():
    assert plan_files({"train": 201, "val": 0}, 100) == (
        File("train", 0, 3),
        File("train", 1, 3),
        File("train", 2, 3),
        File("val", 0, 1),
    )
    assert len(plan_files({"train": 200}, 100)) == 2


def test_files_are_named_as_the_next_components_expect():
    assert File("val", 2, 11).path == "Split-val/data_tfrecord-00002-of-00011.gz"


def test_each_record_is_written_once_to_files_of_about_one_size(write):
    written = write(RECORDS, 5_000)
    assert len(written.files) == 10
    assert sorted(written.train) == RECORDS
    sizes = [len(records) for records in written.files]
    assert min(sizes) > 50 - 5 * 7  # their deviation is that of chance, 7
    assert max(sizes) < 50 + 5 * 7


def test_order_depends_on_the_records_alone(write):
    written = write(RECORDS, 5_000)
    assert write(RECORDS[::-1], 5_000).files == written.files
    [whole] = write(RECORDS, 10**6).files
    assert whole == written.train


def test_order_has_nothing_of_the_order_before(write):
    [found] = write(RECORDS, 10**6).files
    places = np.array([RECORDS.index(serialized) for serialized in found])
    correlation = np.corrcoef(places, np.arange(len(places)))[0, 1]
    assert abs(correlation) < 5 / len(places) ** 0.5


def test_a_worker_holds_no_more_than_a_file(write):
    written = write(RECORDS, 5_000)
    assert len(written.runs) == 10
    assert max(written.runs) <= 5_000 + 50 * tfrecord.OVERHEAD_BYTES


def test_a_record_may_be_larger_than_a_file(write):
    huge = b"x" * 20_000
    written = write([*RECORDS, huge], 5_000)
    assert Counter(written.train) == Counter([*RECORDS, huge])


def test_identical_records_are_all_kept_side_by_side(write):
    written = write([*RECORDS, *[RECORDS[7]] * 300], 5_000)
    found = written.train
    assert Counter(found) == Counter({**dict.fromkeys(RECORDS, 1), RECORDS[7]: 301})
    first = found.index(RECORDS[7])
    assert found[first : first + 301] == [RECORDS[7]] * 301


def test_a_split_without_records_has_an_empty_file(write):
    written = write([], 5_000)
    assert written.files == [[]]
    assert written.val == []


@pytest.mark.parametrize(
    ("size", "why"), [(0, "2 records are missing"), (30, "record 1, at byte 17, is cut short")]
)
def test_a_run_that_reads_otherwise_than_it_was_written_is_told(tmp_path, size, why):
    path = tmp_path / "run"
    path.write_bytes((tfrecord.frame(b"a") + tfrecord.frame(b"b"))[:size])
    run = Run(str(path), np.array([0], np.uint64), np.array([2], np.uint64))
    with pytest.raises(tfrecord.CorruptShardError, match=rf"{path}: .*\({why}\)"):
        write_file(0, plan_files({"train": 1}, 10), str(tmp_path), [run])


def test_written_again_a_file_is_the_same(tmp_path):
    path = tmp_path / "run"
    path.write_bytes(tfrecord.frame(b"a") + tfrecord.frame(b"b"))
    run = Run(str(path), np.array([0], np.uint64), np.array([2], np.uint64))
    contents = set()
    for _ in range(2):
        files = shuffle.plan_files({"train": 1}, 10)
        write_file(0, files, str(tmp_path), [run])
        contents.add((tmp_path / files[0].path).read_bytes())
    assert len(contents) == 1
