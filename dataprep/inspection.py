"""Reads a data set's records once, and reports how many there are, how large, and of which class."""

import io
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import tensorflow as tf
from google.protobuf.message import DecodeError
from PIL import Image

from components import record
from components.dataset import DataError, Dataset
from components.tfrecord import OVERHEAD_BYTES, CorruptShardError, read_records
from dataprep.terminal import Advance

# What a record raises of which no more can be said; Pillow's plugins differ in it.
UNUSABLE = (DecodeError, Image.DecompressionBombError, OSError, SyntaxError, ValueError)
COLORS = {"L": "grey"}  # Pillow's mode → its name, where that is another
SAMPLES = 6  # records of each class and split whose place is kept


@dataclass(frozen=True)
class Place:
    """Where a record is."""

    shard: Path
    start: int  # its first byte


@dataclass
class SplitFacts:
    """What the records of a split are.

    Attributes:
        unusable: Number of records without a readable image or label; nothing below tells of
            them.
        widths: Of the images, pixels.
        heights: Of the images, pixels.
        encoded: Sizes of the images' files, bytes.
        formats: File format → number of images.
        colors: Colour space → number of images.
        labels: Label → number of records.
        samples: Label → where its first records are.
    """

    unusable: int = 0
    widths: array = field(default_factory=lambda: array("I"))
    heights: array = field(default_factory=lambda: array("I"))
    encoded: array = field(default_factory=lambda: array("I"))
    formats: Counter[str] = field(default_factory=Counter)
    colors: Counter[str] = field(default_factory=Counter)
    labels: Counter[int] = field(default_factory=Counter)
    samples: dict[int, list[Place]] = field(default_factory=lambda: defaultdict(list))

    def add(self, serialized: bytes, place: Place, names: dict[int, str]) -> None:
        """Adds a record, whose class is noted in `names` if the record names it."""
        feature = tf.train.Example.FromString(serialized).features.feature
        [label] = feature[record.LABEL].int64_list.value
        [encoded] = feature[record.IMAGE].bytes_list.value
        image = Image.open(io.BytesIO(encoded))  # reads the header only
        self.widths.append(image.width)
        self.heights.append(image.height)
        self.encoded.append(len(encoded))
        self.formats[str(image.format)] += 1
        self.colors[COLORS.get(image.mode, image.mode)] += 1
        self.labels[label] += 1
        if len(self.samples[label]) < SAMPLES:
            self.samples[label].append(place)
        for synset in feature[record.SYNSET].bytes_list.value:
            names.setdefault(label, synset.decode(errors="replace"))


@dataclass
class Inspection:
    """What a data set holds.

    Attributes:
        dataset: Its folder.
        splits: Split → what its records are.
        synsets: Label → the key of its class, where a record has it.
    """

    dataset: Dataset
    splits: dict[str, SplitFacts]
    synsets: dict[int, str]

    @property
    def labels(self) -> list[int]:
        """The labels of all classes, known or met, in order."""
        met = set().union(*(facts.labels for facts in self.splits.values()))
        known = range(record.LABEL_BASE, record.LABEL_BASE + len(self.dataset.class_names or ()))
        return sorted(met.union(known))

    def name(self, label: int) -> str:
        """The name of a class; empty where nothing says it."""
        names = self.dataset.class_names
        if names is None:
            return self.synsets.get(label, "")
        return names[label - record.LABEL_BASE] if 0 < label <= len(names) else "no such class"


def inspect(dataset: Dataset, advance: Advance) -> Inspection:
    """Reads all records; of the images only the headers.

    Args:
        dataset: What to read.
        advance: Called with the bytes that were read.

    Raises:
        DataError: A shard is damaged.
    """
    splits = {split: SplitFacts() for split in dataset.shards}
    synsets: dict[int, str] = {}
    for split, shards in dataset.shards.items():
        facts = splits[split]
        for shard in shards:
            for start, serialized in _records(shard):
                try:
                    facts.add(serialized, Place(shard, start), synsets)
                except UNUSABLE:
                    facts.unusable += 1
                advance(len(serialized) + OVERHEAD_BYTES)
    return Inspection(dataset, splits, synsets)


def read_image(place: Place) -> bytes:
    """The encoded image of the record at `place`."""
    with place.shard.open("rb") as file:
        file.seek(place.start)
        serialized = next(read_records(file))
    [encoded] = (
        tf.train.Example.FromString(serialized).features.feature[record.IMAGE].bytes_list.value
    )
    return encoded


def _records(shard: Path) -> Iterator[tuple[int, bytes]]:
    """Yields the first byte and the data of each record."""
    start = 0
    with shard.open("rb") as file:
        try:
            for serialized in read_records(file):
                yield start, serialized
                start += len(serialized) + OVERHEAD_BYTES
        except CorruptShardError as error:
            raise DataError(f"{shard}: {error}. Copy or write it again") from error
