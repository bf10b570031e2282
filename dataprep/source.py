"""Where the images come from: a zip archive, read in place, or a folder."""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from dataprep.archive import Archive
from dataprep.entry import Entry, intact
from dataprep.errors import UsageError
from dataprep.storage import is_remote
from dataprep.terminal import showing
from dataset import record
from dataset.image_files import FolderError, walk

CHUNK_BYTES = 2**20


class Folder:
    """A folder on this machine; a `dataprep.source.Source`. Links are followed."""

    def __init__(self, path: str) -> None:
        self._root = Path(path)

    def entries(self) -> Iterator[Entry]:
        """Yields all files and folders but junk, yet without checksums.

        Raises:
            UsageError: Something in it cannot be read, or is no file, or the folder has no end.
        """
        try:
            for path, size in walk(self._root):
                yield Entry(path, size)
        except FolderError as error:
            raise UsageError(str(error)) from error

    def with_checksum(self, entry: Entry) -> Entry:
        """The entry with its checksum, for which the file is read.

        Raises:
            UsageError: It cannot be read.
        """
        crc = 0
        try:
            with (self._root / entry.path).open("rb") as file:
                while chunk := file.read(CHUNK_BYTES):
                    crc = zlib.crc32(chunk, crc)
        except OSError as error:
            message = f"{error.filename} cannot be read: {error.strerror}. Mend or remove it"
            raise UsageError(message) from error
        return entry._replace(crc=crc)

    def read(self, entry: Entry) -> bytes:
        """The bytes of a file.

        Raises:
            UnusableError: They are not those that the checksum was made of.
        """
        return intact((self._root / entry.path).read_bytes(), entry)

    def remarks(self) -> list[str]:
        """Nothing is guessed."""
        return []

    def close(self) -> None:
        """Nothing is open."""


class Readable(Protocol):
    """What reads images at random access."""

    def read(self, entry: Entry) -> bytes:
        """The bytes of a file; `UnusableError` if they are not those of its checksum."""

    def close(self) -> None:
        """Closes what is open."""


class Source(Readable, Protocol):
    """A zip archive or a folder."""

    def entries(self) -> Iterator[Entry]:
        """Yields all files and folders but hidden ones and what systems leave, in any order."""

    def with_checksum(self, entry: Entry) -> Entry:
        """The entry with its checksum, for which a folder's file is read."""

    def remarks(self) -> list[str]:
        """What a user should know of it, once `entries` came to its end."""


class Opener(Protocol):
    """What workers are sent, to open a source where they are."""

    def prepare(self, folder: str) -> None:
        """Puts into a temporary `folder`, which all workers reach, what they need."""

    def open(self, folder: str) -> Readable:
        """Opens the source; `folder` is that of `prepare`."""


@dataclass(frozen=True)
class At:
    """Opens the zip archive or the folder at `path`, which need nothing else."""

    path: str

    def prepare(self, folder: str) -> None:
        """Nothing is needed."""

    def open(self, folder: str) -> Source:
        """Opens it."""
        return open_source(self.path)


def open_source(path: str) -> Source:
    """Opens the zip archive or the folder at `path`.

    Raises:
        UsageError: There is neither.
    """
    if is_remote(path) or Path(path).is_file():
        return Archive(path)
    if Path(path).is_dir():
        return Folder(path)
    raise UsageError(f"--source {path}: there is no such file or folder")


SPLIT_NAMES = {  # of folders, in lower case
    "train": record.TRAIN,
    "training": record.TRAIN,
    "val": record.VAL,
    "valid": record.VAL,
    "validation": record.VAL,
}


def split_of(folder: str) -> str | None:
    """The split that a folder's name means, in any case; None where it means none."""
    return SPLIT_NAMES.get(folder.lower())


class Files:
    """The files of a source, by their paths inside the one folder that holds everything, if any.

    Most archives have such a folder. A split's or a class's folder is not taken for one.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._number = 0
        common: list[str] | None = None  # the folders that all files are in
        deepest = 0
        for entry in source.entries():
            if entry.is_folder:
                continue
            *folders, _ = entry.path.split("/")
            self._number += 1
            deepest = max(deepest, len(folders))
            common = folders if common is None else _common(common, folders)
        inner = (common or [])[: max(deepest - 1, 0)]
        for folder in filter(split_of, list(inner)):
            inner = inner[: inner.index(folder)]
            break
        self._root = "".join(f"{folder}/" for folder in inner)

    def __iter__(self) -> Iterator[tuple[str, Entry]]:
        for entry in self._source.entries():
            if not entry.is_folder:
                yield entry.path.removeprefix(self._root), entry

    def folders(self, depth: int) -> set[tuple[str, ...]]:
        """The folders, empty ones too, down to a depth, each by the names on the way to it."""
        root = self._root
        inside = (e.path[len(root) :] for e in self._source.entries() if e.path.startswith(root))
        ways = (path.split("/")[:-1][:depth] for path in inside)
        return {tuple(way[:end]) for way in ways for end in range(1, len(way) + 1)}

    def with_progress(self) -> Iterator[tuple[str, Entry]]:
        """Iterates, and shows how far it is."""
        with showing("Reading", self._number, "files") as tell:
            for number, item in enumerate(self, start=1):
                yield item
                tell(number)

    def tops(self) -> list[str]:
        """The files and folders at the top."""
        return sorted({path.split("/")[0] for path, _ in self})

    def text(self, wanted: str) -> str | None:
        """What a text file says; None if it is not there.

        Raises:
            UsageError: It is no text.
        """
        for path, entry in self:
            if path == wanted:
                try:
                    data = self._source.read(self._source.with_checksum(entry))
                    return data.decode("utf-8-sig")
                except ValueError as error:
                    message = f"{entry.path} is not UTF-8 text, or damaged: {error}"
                    raise UsageError(message) from error
        return None


def _common(one: list[str], other: list[str]) -> list[str]:
    same = [a == b for a, b in zip(one, other, strict=False)]
    return one[: same.index(False)] if False in same else one[: len(same)]
