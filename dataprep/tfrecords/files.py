"""TFRecord files as a source of images: found, read from end to end, then at random access.

A gzip file has no random access: it is unpacked to beside the shards while they are written.
"""

import glob
import gzip
import os
import re
import shutil
import zlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

from google.protobuf.message import DecodeError

from dataprep.entry import Entry, intact
from dataprep.errors import PreparationError, UsageError
from dataprep.jpeg import UnusableError
from dataprep.source import Folder
from dataprep.storage import create_file, file_sizes, is_remote, open_file
from dataset.conversion import TFRECORD_NAME
from dataset.errors import listed
from dataset.example import parse
from dataset.image_files import is_junk
from dataset.tfrecord import (
    GZIP,
    HEADER_BYTES,
    OVERHEAD_BYTES,
    CorruptShardError,
    is_header,
    read_records,
)

WILD = re.compile(r"[*?[]")  # what makes a pattern of a path
CHUNK_BYTES = 2**20
MARK = "#"  # between a file's name and a record's place in it, from 0


class RecordFile(NamedTuple):
    """A TFRecord file.

    Attributes:
        name: Inside the source's folder.
        size: Bytes, as it lies there.
        compressed: Whether it is a gzip file.
    """

    name: str
    size: int
    compressed: bool


class Place(NamedTuple):
    """Where a record is.

    Attributes:
        file: The file's name.
        number: Of the record in the file, from 0.
        offset: Of its frame in the unpacked file, bytes.
        size: Of its data, bytes.
    """

    file: str
    number: int
    offset: int
    size: int

    def __str__(self) -> str:
        return f"{self.file}{MARK}{self.number}"

    def entry(self, image: bytes) -> Entry:
        """The entry of the record's image, which `RecordSource` reads."""
        return Entry(str(self), len(image), zlib.crc32(image), self.offset, self.size)


@dataclass(frozen=True)
class RecordFiles:
    """The TFRecord files of a source.

    Attributes:
        folder: Which holds them all.
        files: In order of their names.
        ignored: Names of files there that are none.
    """

    folder: str
    files: tuple[RecordFile, ...]
    ignored: tuple[str, ...] = ()

    def only(self, names: Collection[str]) -> "RecordFiles":
        """The files with these names; the others are not counted as ignored."""
        return replace(self, files=tuple(file for file in self.files if file.name in names))

    def path(self, file: RecordFile) -> str:
        """Where a file lies."""
        return f"{self.folder}/{file.name}"

    def records(self, file: RecordFile) -> Iterator[tuple[Place, bytes, int]]:
        """Yields each record's place and bytes, and how many bytes of the file were read.

        Raises:
            PreparationError: The file is cut short or altered.
        """
        offset = 0
        with open_file(self.path(file)) as raw:
            opened = cast(BinaryIO, gzip.GzipFile(fileobj=raw)) if file.compressed else raw
            try:
                for index, record in enumerate(read_records(opened)):
                    yield Place(file.name, index, offset, len(record)), record, raw.tell()
                    offset += len(record) + OVERHEAD_BYTES
            except (CorruptShardError, EOFError, gzip.BadGzipFile, zlib.error) as error:
                raise PreparationError(
                    f"{self.path(file)}: {error}. Copy or write it again, or leave it out of "
                    "--source"
                ) from error


@dataclass(frozen=True)
class RecordImages:
    """What workers are sent, to read the images where they are; a `dataprep.source.Opener`."""

    files: RecordFiles
    image_key: str

    def prepare(self, folder: str) -> None:
        """Unpacks the gzip files into a `folder` that all workers reach."""
        for number, file in enumerate(self.files.files):
            if file.compressed:
                with (
                    open_file(self.files.path(file)) as raw,
                    gzip.GzipFile(fileobj=raw) as packed,
                    create_file(_unpacked(folder, number)) as unpacked,
                ):
                    shutil.copyfileobj(packed, unpacked, CHUNK_BYTES)

    def open(self, folder: str) -> "RecordSource":
        """Opens the source in a worker; `folder` is that of `prepare`."""
        paths = {
            file.name: _unpacked(folder, number) if file.compressed else self.files.path(file)
            for number, file in enumerate(self.files.files)
        }
        return RecordSource(paths, self.image_key)


def _unpacked(folder: str, number: int) -> str:
    return f"{folder}/unpacked/{number:05d}"


class RecordSource:
    """The images inside records, by the entries that `Place.entry` made of them."""

    def __init__(self, paths: Mapping[str, str], image_key: str) -> None:
        self._paths = paths
        self._key = image_key

    def read(self, entry: Entry) -> bytes:
        """The file of an image.

        Raises:
            UnusableError: It is not the one that was there when the records were listed.
        """
        with open_file(self._paths[entry.path.rpartition(MARK)[0]]) as file:
            file.seek(entry.offset + HEADER_BYTES)
            serialized = file.read(entry.packed)
        try:
            [image] = parse(serialized)[self._key].bytes_list.value
        except (DecodeError, ValueError) as error:
            raise UnusableError("damaged in the source: the record has changed") from error
        return intact(image, entry)

    def close(self) -> None:
        """Nothing is open."""


def find_files(source: str) -> RecordFiles:
    """Finds the TFRecord files of a source, by what is in them.

    Args:
        source: A folder, with all that is below it, a file, or a pattern as `glob` takes it.

    Raises:
        UsageError: There are none.
        PreparationError: One is called like a TFRecord file, and is none.
    """
    folder, sizes = _listed(source)
    kinds = {name: _look(folder, name, size) for name, size in sorted(sizes.items())}
    files = tuple(file for file in kinds.values() if file)
    if not files:
        raise UsageError(
            f"--source {source}: no TFRecord files there, but {listed(sorted(sizes)) or 'nothing'}"
        )
    return RecordFiles(folder, files, tuple(name for name, file in kinds.items() if not file))


def _listed(source: str) -> tuple[str, dict[str, int]]:
    """The folder, and the names in it → bytes, of what `source` means."""
    if is_remote(source):
        start = WILD.search(source)
        folder = source[: start.start()].rpartition("/")[0] if start else source.rstrip("/")
        sizes = file_sizes(folder, source.removeprefix(f"{folder}/") if start else "**")
        return folder, {name: size for name, size in sizes.items() if not is_junk(name)}
    if Path(source).is_dir():
        return source.rstrip("/") or "/", {
            entry.path: entry.size for entry in Folder(source).entries() if not entry.is_folder
        }
    files = [Path(source)]
    if not files[0].is_file():  # else it is no pattern, whatever is in its name
        paths = map(Path, glob.glob(source, recursive=True))  # noqa: PTH207, of a root or none
        files = [path for path in paths if path.is_file() and not is_junk(path.name)]
    if not files:
        raise UsageError(f"--source {source}: there is no such file or folder")
    folder = os.path.commonpath([path.parent for path in files]) or "."
    return folder, {path.relative_to(folder).as_posix(): path.stat().st_size for path in files}


def _look(folder: str, name: str, size: int) -> RecordFile | None:
    """What a file is; None if it is no TFRecord file."""
    promised = bool(TFRECORD_NAME.search(name.lower()))
    with open_file(f"{folder}/{name}") as raw:
        head = raw.read(HEADER_BYTES)
        compressed = head.startswith(GZIP) and not is_header(head)
        if compressed:
            raw.seek(0)
            try:
                head = gzip.GzipFile(fileobj=raw).read(HEADER_BYTES)
            except (OSError, EOFError, zlib.error):
                head = GZIP  # which is no header
    if is_header(head) or (promised and not head):
        return RecordFile(name, size, compressed)
    if promised:
        raise PreparationError(
            f"{folder}/{name} is called like a TFRecord file, but does not begin like one: it was "
            "altered, or is in another format, or compressed otherwise than by gzip. Write it "
            "again, or leave it out of --source"
        )
    return None
