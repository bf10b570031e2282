"""An external shuffle: takes records from shards to mixed files, in flat memory on every runner.

The order of a split is that of its records' digests, which knows nothing of the order in the
shards, nor of their number. Its files are equal ranges of digests.

A worker holds records until they are as much as a file is to have, then writes them to disk as a
run, those for each file together. When all runs are there, each file takes its part out of every
run, is put in order, and is written. Beam itself carries only numbers and the runs' indexes: its
in-process runner would keep all records in memory.
"""

import dataclasses
import hashlib
import itertools
import math
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import apache_beam as beam
import numpy as np
import tensorflow as tf
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.windowed_value import WindowedValue
from tfx.components.example_gen.write_split import DEFAULT_TF_RECORD_FILE_NAME
from tfx.dsl.io import fileio

from dataset import tfrecord

# Named .gz and readable as such, but stored: level 6 writes 12 to 18 MB/s and makes photos 0.3 %
# smaller, small JPEG files of 2 KB 38 %; stored it is 170 to 230 MB/s.
STORED = tf.io.TFRecordOptions(compression_type="GZIP", compression_level=0)


@dataclasses.dataclass(frozen=True)
class File:
    """File `index` of the `count` files of a split."""

    split: str
    index: int
    count: int

    @property
    def path(self) -> str:
        """Inside the examples' artifact, named as the components that read it expect."""
        prefix = f"Split-{self.split}/{DEFAULT_TF_RECORD_FILE_NAME}"
        return f"{prefix}-{self.index:05d}-of-{self.count:05d}.gz"


def plan_files(split_bytes: Mapping[str, int], file_bytes: int) -> tuple[File, ...]:
    """The files of all splits; each split has one at least.

    Args:
      split_bytes: Split → size of its records.
      file_bytes: The most that a file is to have; chance makes some a little larger.
    """
    counts = {split: max(1, math.ceil(size / file_bytes)) for split, size in split_bytes.items()}
    return tuple(
        File(split, index, count) for split, count in counts.items() for index in range(count)
    )


@dataclasses.dataclass(frozen=True)
class Run:
    """Records on disk, those for each file together.

    Attributes:
      path: A TFRecord file.
      starts: uint64 [files]: where in it the records for each file begin, bytes.
      counts: uint64 [files]: how many there are.
    """

    path: str
    starts: np.ndarray
    counts: np.ndarray


class WriteShuffled(beam.PTransform):
    """Writes a PCollection of (split, record) to the files of a plan.

    Args:
      files: The plan.
      uri: The artifact's folder.
      scratch: Folder for the runs, which all workers see; whoever made it up removes it.
      run_bytes: How much a worker holds before it writes a run; a single larger record is one.
    """

    def __init__(self, files: Sequence[File], uri: str, scratch: str, run_bytes: int) -> None:
        super().__init__()
        self._files = files
        self._uri = uri
        self._write_run = _WriteRun(files, scratch, run_bytes)

    def expand(self, records: beam.PCollection) -> beam.PCollection:
        """See the base class."""
        runs = records | "WriteRuns" >> beam.ParDo(self._write_run)
        return (
            records.pipeline
            | "Files" >> beam.Create(range(len(self._files)))
            | "WriteFiles"
            >> beam.Map(write_file, self._files, self._uri, runs=beam.pvalue.AsList(runs))
        )


class _WriteRun(beam.DoFn):
    """Gathers the records of a bundle; yields runs."""

    def __init__(self, files: Sequence[File], folder: str, run_bytes: int) -> None:
        self._first = {file.split: n - file.index for n, file in enumerate(files)}
        self._counts = {file.split: file.count for file in files}
        self._files = len(files)
        self._folder = folder
        self._run_bytes = run_bytes

    def start_bundle(self) -> None:
        """Called by Beam."""
        self._records: list[list[bytes]] = [[] for _ in range(self._files)]
        self._bytes = 0

    def process(self, element: tuple[str, bytes]) -> Iterator[Run]:
        """Called by Beam for each record."""
        split, serialized = element
        if self._bytes and self._bytes + len(serialized) > self._run_bytes:
            yield self._write()
            self.start_bundle()
        # The digest's first 64 bits as a share of all that they can be.
        index = int.from_bytes(_digest(serialized)[:8], "big") * self._counts[split] >> 64
        self._records[self._first[split] + index].append(serialized)
        self._bytes += len(serialized)

    def finish_bundle(self) -> Iterator[WindowedValue]:
        """Called by Beam."""
        if self._bytes:
            window = GlobalWindow()
            yield WindowedValue(self._write(), window.max_timestamp(), (window,))
            self.start_bundle()  # else a worker would keep the records till its end

    def _write(self) -> Run:
        sizes = [
            sum(len(serialized) + tfrecord.OVERHEAD_BYTES for serialized in records)
            for records in self._records
        ]
        fileio.makedirs(self._folder)
        # Another name each time: an engine may give the same records to a second worker.
        path = f"{self._folder}/{uuid.uuid4()}"
        with fileio.open(path, "wb") as file:
            for serialized in itertools.chain.from_iterable(self._records):
                file.write(tfrecord.frame(serialized))
        ends = np.cumsum(sizes, dtype=np.uint64)
        counts = np.array([len(records) for records in self._records], np.uint64)
        return Run(path, ends - np.array(sizes, np.uint64), counts)


def write_file(number: int, files: Sequence[File], uri: str, runs: Sequence[Run]) -> None:
    """Writes file `number` of `files` from what all `runs` have for it.

    The same bytes whoever does it, so it may be done twice. Identical records, be they a million,
    are held once and stand side by side.

    Raises:
      tfrecord.CorruptShardError: A run is not as it was written.
    """
    found = Counter(itertools.chain.from_iterable(_read(run, number) for run in runs))
    path = f"{uri}/{files[number].path}"
    fileio.makedirs(path.rpartition("/")[0])
    with tf.io.TFRecordWriter(path, STORED) as writer:
        for serialized in sorted(found, key=_digest):
            for _ in range(found[serialized]):
                writer.write(serialized)


def _read(run: Run, number: int) -> Iterator[bytes]:
    """Yields the records that `run` has for file `number`."""
    count = int(run.counts[number])
    if not count:
        return
    with fileio.open(run.path, "rb") as file:
        file.seek(int(run.starts[number]))
        read = 0
        try:
            for serialized in itertools.islice(tfrecord.read_records(file), count):
                read += 1
                yield serialized
        except tfrecord.CorruptShardError as error:
            raise _damaged(run, str(error)) from error
        if read < count:
            raise _damaged(run, f"{count - read} records are missing")


def _damaged(run: Run, why: str) -> tfrecord.CorruptShardError:
    return tfrecord.CorruptShardError(
        f"{run.path}: what was written a moment ago reads otherwise ({why}). Is the disk sound?"
    )


def _digest(serialized: bytes) -> bytes:
    """By what a record's place goes."""
    return hashlib.blake2b(serialized, digest_size=16).digest()
