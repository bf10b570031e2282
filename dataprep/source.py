"""Where the images come from: a zip archive, read in place, or a folder."""

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from dataprep.archive import Archive
from dataprep.entry import Entry
from dataprep.errors import UsageError
from dataprep.folder import Folder
from dataprep.storage import is_remote


class Source(Protocol):
    """A zip archive or a folder."""

    def entries(self) -> Iterator[Entry]:
        """Yields all files but hidden ones and what systems leave about, in any order."""

    def with_checksum(self, entry: Entry) -> Entry:
        """The entry with its checksum, for which a folder's file is read."""

    def read(self, entry: Entry) -> bytes:
        """The bytes of a file; `UnusableError` if they are not those of its checksum."""

    def close(self) -> None:
        """Closes what is open."""


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
