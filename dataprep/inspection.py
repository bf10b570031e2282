"""Reads a data set's records once: how many there are, how large, of which class, what is odd."""

import io
import itertools
from array import array
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median_low

from google.protobuf.message import DecodeError
from PIL import Image
from rich.console import Console
from rich.filesize import decimal

from dataprep import contact_sheet
from dataprep.errors import UsageError
from dataprep.jpeg import shown_size
from dataprep.terminal import Advance, opened, reading, screen, table
from dataset import record
from dataset.classes import lacked
from dataset.conversion import label_0
from dataset.errors import DataError
from dataset.example import parse
from dataset.folder import Dataset, read_dataset
from dataset.tfrecord import OVERHEAD_BYTES, CorruptShardError, read_records

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
        feature = parse(serialized)
        [label] = feature[record.LABEL].int64_list.value
        [encoded] = feature[record.IMAGE].bytes_list.value
        image = Image.open(io.BytesIO(encoded))  # reads the header only
        width, height = shown_size(image)
        self.widths.append(width)
        self.heights.append(height)
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
    [encoded] = parse(serialized)[record.IMAGE].bytes_list.value
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


MOST_CLASSES = 20  # that the screen and the sheet show; of more, some are chosen
COLUMNS = {record.TRAIN: 6, record.VAL: 4}  # of the sheet


def report(folder: Path, sheet: Path, *, all_classes: bool) -> None:
    """Reads a data set, prints its tables and draws its contact sheet.

    Args:
        folder: The data set's.
        sheet: The PNG file to write.
        all_classes: Whether to print every class, however many there are.

    Raises:
        DataError: The folder is no whole data set.
        UsageError: There is no such folder, or the sheet cannot be written.
        PreparationError: The folder cannot be read.
    """
    if not sheet.absolute().parent.is_dir():
        raise UsageError(f"--contact-sheet {sheet}: no such folder")
    with opened(folder):
        dataset = read_dataset(folder)
        with reading(itertools.chain(*dataset.shards.values())) as advance:
            found = inspect(dataset, advance)
        drawn = draw_contact_sheet(found)
    show(found, screen(), all_classes=all_classes)
    try:
        drawn.save(sheet, "PNG")
    except OSError as error:
        raise UsageError(
            f"--contact-sheet {sheet}: cannot be written ({error.strerror})"
        ) from error
    screen().print(f"contact sheet: {sheet}")


def show(found: Inspection, console: Console, *, all_classes: bool) -> None:
    """Prints the tables."""
    console.print(str(found.dataset.path))
    _show_records(found, console)
    _show_classes(found, console, all_classes)
    last = len(found.dataset.class_names or ()) or max(found.labels, default=0)
    for split, facts in found.splits.items():
        if lacks := lacked(
            facts.labels.keys(), last, lambda label: found.name(label) or str(label)
        ):
            console.print(f"{split} lacks {lacks}")
    if number := sum(facts.labels[0] for facts in found.splits.values()):
        console.print(label_0(number, str(found.dataset.path)))
    if unusable := sum(facts.unusable for facts in found.splits.values()):
        console.print(
            f"records without a readable image or label: {unusable:,}; "
            "`python -m dataprep verify` names them"
        )


def draw_contact_sheet(found: Inspection) -> Image.Image:
    """Draws images of up to `MOST_CLASSES` classes, evenly chosen."""
    rows = []
    for label in _evenly(found.labels):
        counts = ", ".join(
            f"{facts.labels[label]:,} {split}" for split, facts in found.splits.items()
        )
        images = {
            split: [read_image(place) for place in facts.samples.get(label, [])]
            for split, facts in found.splits.items()
        }
        name = found.name(label) or f"label {label}"
        rows.append(contact_sheet.Row(name, f"label {label}: {counts}", images))
    return contact_sheet.draw(rows, COLUMNS)


def _evenly(labels: list[int]) -> list[int]:
    """Up to `MOST_CLASSES` of the labels, the first and the last among them."""
    if len(labels) <= MOST_CLASSES:
        return labels
    step = (len(labels) - 1) / (MOST_CLASSES - 1)
    return [labels[round(index * step)] for index in range(MOST_CLASSES)]


def _show_records(found: Inspection, console: Console) -> None:
    shown = table("", *found.splits, numbers=1)
    columns = [
        _facts(facts, [shard.stat().st_size for shard in found.dataset.shards[split]])
        for split, facts in found.splits.items()
    ]
    for row in columns[0]:
        shown.add_row(row, *(column[row] for column in columns))
    console.print(shown)


def _facts(facts: SplitFacts, shards: list[int]) -> dict[str, str]:
    """The split's column: row → what is in it."""
    return {
        "shards": f"{len(shards):,}",
        "records": f"{facts.labels.total() + facts.unusable:,}",
        "size": decimal(sum(shards)),
        "classes": f"{len(facts.labels):,}",
        "records a class": _spread(facts.labels.values()),
        "width, pixels": _spread(facts.widths),
        "height, pixels": _spread(facts.heights),
        "image, bytes": _spread(facts.encoded),
        "format": _shares(facts.formats),
        "colours": _shares(facts.colors),
    }


def _spread(numbers: Collection[int]) -> str:
    """Least / median / greatest, or the one that all are."""
    if not numbers:
        return "–"
    least, greatest = min(numbers), max(numbers)
    if least == greatest:
        return f"{least:,}"
    return f"{least:,} / {median_low(numbers):,} / {greatest:,}"


def _shares(found: Counter[str]) -> str:
    """Each kind, the most frequent first, with its number if there are several."""
    if len(found) == 1:
        return next(iter(found))
    return ", ".join(f"{kind} {number:,}" for kind, number in found.most_common()) or "–"


def _show_classes(found: Inspection, console: Console, all_classes: bool) -> None:
    """The number of records of each class; of many classes, of the smallest and the largest."""
    shown = table("label", "class", *found.splits, numbers=2)

    def add(labels: list[int]) -> None:
        for label in labels:
            counts = (f"{facts.labels[label]:,}" for facts in found.splits.values())
            shown.add_row(str(label), found.name(label), *counts)

    labels = found.labels
    if all_classes or len(labels) <= MOST_CLASSES:
        add(labels)
    else:
        by_size = sorted(labels, key=lambda label: found.splits[record.TRAIN].labels[label])
        add(by_size[: MOST_CLASSES // 2])
        shown.add_row("…", f"{len(labels) - MOST_CLASSES:,} classes between: --all")
        add(by_size[-MOST_CLASSES // 2 :])
    console.print(shown)
