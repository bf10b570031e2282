"""The labelled images of a source, yet to be dealt to shards.

What the records will say of them lies in a temporary file. In memory there are 36 bytes an image,
so that a million images take hardly more than a thousand.
"""

import hashlib
import json
import struct
import tempfile
from collections.abc import Collection as Group
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import BinaryIO, NamedTuple

import numpy as np

from dataprep.entry import Entry
from dataprep.errors import UsageError
from dataset import record
from dataset.errors import listed


def deal(labels: np.ndarray, shards: int, seed: int) -> list[np.ndarray]:
    """Deals images to shards.

    Class by class, so that a class's numbers in any two shards differ by at most one, and so do the
    shards' sizes. Inside a shard they are in random order.

    Args:
        labels: The images' classes, [images].
        shards: Their number, at least 1.
        seed: Of the order.

    Returns:
        The indices of each shard's images.
    """
    chance = np.random.RandomState(seed)  # whose sequence never changes, unlike default_rng's
    by_class = _shuffled_by_class(labels, chance)
    return [chance.permutation(by_class[shard::shards]) for shard in range(shards)]


def choose(labels: np.ndarray, share: float, seed: int) -> np.ndarray:
    """Chooses a share of each class: one image at least, and not all of a class that has several.

    Args:
        labels: The images' classes, [images].
        share: The share, in (0, 1).
        seed: Of the choice.

    Returns:
        Whether each image is chosen, [images].
    """
    by_class = _shuffled_by_class(labels, np.random.RandomState(seed))
    sizes = np.bincount(labels)
    numbers = np.clip(np.rint(share * sizes), 1, np.maximum(sizes - 1, 1))
    starts = np.cumsum(sizes) - sizes
    ranks = np.arange(len(labels)) - starts[labels[by_class]]  # of an image in its class
    chosen = np.empty(len(labels), bool)
    chosen[by_class] = ranks < numbers[labels[by_class]]
    return chosen


def _shuffled_by_class(labels: np.ndarray, chance: np.random.RandomState) -> np.ndarray:
    shuffled = chance.permutation(len(labels))
    return shuffled[np.argsort(labels[shuffled], kind="stable")]


KEY_BYTES = 8
ROW = struct.Struct("<QQQIII")
COLUMNS = np.dtype(
    [
        ("key", "<u8"),  # which image it is: a digest of split, class and file name
        ("start", "<u8"),  # of its line in the file
        ("size", "<u8"),  # bytes
        ("crc", "<u4"),
        ("split", "<u4"),  # index in record.SPLITS
        ("synset", "<u4"),  # index in the synsets
    ]
)


class LabelledImage(NamedTuple):
    """An image, with what its record will say."""

    key: int
    synset: str  # the class's key
    filename: str
    entry: Entry

    def to_line(self) -> bytes:
        """A line that `from_line` reads."""
        return f"{json.dumps([self.key, self.synset, self.filename, *self.entry])}\n".encode()

    @classmethod
    def from_line(cls, line: bytes) -> "LabelledImage":
        """What `to_line` made a line of."""
        key, synset, filename, *entry = json.loads(line)
        return cls(key, synset, filename, Entry(*entry))


@dataclass(frozen=True)
class Unusable:
    """An image that cannot be used."""

    key: int  # as the collection has it
    synset: str
    file: str  # path inside the source
    reason: str  # a rule, then a colon and details


class Collector:
    """Takes the images of a source, in any order.

    Attributes:
        ignored: Paths of files that are no images by their names, or in no class.
    """

    def __init__(self) -> None:
        self.ignored: list[str] = []
        self._lines = tempfile.TemporaryFile()  # noqa: SIM115, closed with the last that has it
        self._rows = bytearray()
        self._synsets: dict[str, int] = {}

    def add(
        self, split: str, synset: str, filename: str, entry: Entry, place: str | None = None
    ) -> None:
        """Takes an image.

        Args:
            split: That it is in.
            synset: Its class's key.
            filename: What its record will call it.
            entry: Where it is in the source.
            place: What tells it from all others of its class; None where `filename` does.
        """
        name = f"{split}\n{synset}\n{place or filename}".encode()
        key = int.from_bytes(hashlib.blake2b(name, digest_size=KEY_BYTES).digest(), "little")
        start = self._lines.tell()
        number = self._synsets.setdefault(synset, len(self._synsets))
        self._rows += ROW.pack(
            key, start, entry.size, entry.crc, record.SPLITS.index(split), number
        )
        self._lines.write(LabelledImage(key, synset, filename, entry).to_line())

    def collection(self, synsets: Sequence[str] | None = None) -> "Collection":
        """The images taken, in an order that does not depend on that in which they came.

        Args:
            synsets: The classes' keys in label order; None is in alphabetical order.

        Raises:
            UsageError: Two would have the same place in the data set.
        """
        rows = np.frombuffer(self._rows, COLUMNS)
        rows = rows[np.argsort(rows["key"])]
        synsets = sorted(self._synsets) if synsets is None else synsets
        ranks = np.empty(len(synsets), np.uint32)
        for rank, synset in enumerate(synsets):
            ranks[self._synsets[synset]] = rank
        rows["synset"] = ranks[rows["synset"]]
        collection = Collection(rows, tuple(synsets), self._lines)
        for twin in np.flatnonzero(rows["key"][1:] == rows["key"][:-1])[:1]:
            one, other = (LabelledImage.from_line(collection.line(rows[twin + i])) for i in (0, 1))
            raise UsageError(
                f"{one.entry.path} and {other.entry.path} would be the same record. Remove one"
            )
        return collection


@dataclass(frozen=True)
class Collection:
    """Labelled images.

    Attributes:
        rows: For each image one of `COLUMNS`, [images].
        synsets: The classes' keys in label order.
    """

    rows: np.ndarray
    synsets: tuple[str, ...]
    lines: BinaryIO

    def line(self, row: np.void) -> bytes:
        """The line of an image, as `LabelledImage` makes and reads it."""
        self.lines.seek(int(row["start"]))
        return self.lines.readline()

    def of(self, split: str) -> np.ndarray:
        """The rows of a split."""
        return self.rows[self.rows["split"] == record.SPLITS.index(split)]

    def numbers(self) -> dict[str, int]:
        """Split → number of images."""
        return {split: len(self.of(split)) for split in record.SPLITS}

    def sizes(self) -> dict[str, int]:
        """Synset → number of images, of both splits."""
        counts = np.bincount(self.rows["synset"], minlength=len(self.synsets))
        return dict(zip(self.synsets, counts.tolist(), strict=True))

    def first_copies(self) -> np.ndarray:
        """For each image the index of the first with the same size and CRC-32, [images]."""
        rows = self.rows
        content = (rows["size"] << np.uint64(32)) + rows["crc"]
        _, first, inverse = np.unique(content, return_index=True, return_inverse=True)
        return np.where(rows["size"] > 0, first[inverse], np.arange(len(rows)))

    def split_off(self, share: float, seed: int) -> "Collection":
        """The collection with a share of each class in the validation split, the rest in train's.

        Copies of an image count as one, and go where it goes.

        Args:
            share: In (0, 1).
            seed: Of the choice.

        Raises:
            UsageError: A class has one image only.
        """
        rows = self.rows.copy()
        firsts = self.first_copies()
        distinct = np.flatnonzero(firsts == np.arange(len(rows)))
        labels = rows["synset"][distinct]
        if alone := [self.synsets[label] for label in np.flatnonzero(np.bincount(labels) == 1)]:
            raise UsageError(
                f"one image cannot be in both splits, and there is one alone (copies count as one) "
                f"of {listed(alone)}. Give each class two images at least, or remove its folder"
            )
        chosen = np.zeros(len(rows), bool)
        chosen[distinct] = choose(labels, share, seed)
        chosen = chosen[firsts]
        rows["split"] = np.where(chosen, record.SPLITS.index(record.VAL), 0)
        return replace(self, rows=rows)

    def without(self, keys: Group[int]) -> "Collection":
        """The collection without some images."""
        if not keys:
            return self
        out = np.fromiter(keys, np.uint64, len(keys))
        return replace(self, rows=self.rows[~np.isin(self.rows["key"], out)])

    def check(self) -> None:
        """Raises `UsageError` where a network could not be trained and evaluated on the images."""
        if len(self.synsets) < 2:
            found = f"class {self.synsets[0]!r} alone" if self.synsets else "no class with images"
            raise UsageError(f"the source has {found}; two classes are needed at least")
        for split in record.SPLITS:
            there = np.bincount(self.of(split)["synset"], minlength=len(self.synsets))
            if not there.all():
                missing = [self.synsets[label] for label in np.flatnonzero(there == 0)]
                raise UsageError(
                    f"the {split} split has no image of {listed(missing)}. Each class needs "
                    "images in both splits: add some, or remove the class from both"
                )

    def digest(self, names: Mapping[str, str]) -> str:
        """SHA-256 that tells apart any two sources with other images, splits or classes.

        Args:
            names: Synset → the class's name.
        """
        lines = [f"{synset}\n{names[synset]}\n" for synset in self.synsets]
        digest = hashlib.sha256("".join(lines).encode())
        for column in ("key", "size", "crc", "split"):
            digest.update(self.rows[column].tobytes())
        return digest.hexdigest()
