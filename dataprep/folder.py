"""A folder of images."""

import stat
import zlib
from collections.abc import Iterator, Set
from pathlib import Path

from dataprep.entry import Entry, intact, is_wanted
from dataprep.errors import UsageError

CHUNK_BYTES = 2**20


class Folder:
    """A folder on this machine; a `dataprep.source.Source`. Links are followed."""

    def __init__(self, path: str) -> None:
        self._root = Path(path)

    def entries(self) -> Iterator[Entry]:
        """Yields all files but junk, yet without checksums.

        Raises:
            UsageError: Something in it cannot be read, or is no file, or the folder has no end.
        """
        try:
            yield from self._walk(self._root, frozenset())
        except OSError as error:
            raise _unreadable(error) from error

    def _walk(self, folder: Path, above: Set[tuple[int, int]]) -> Iterator[Entry]:
        status = folder.stat()
        here = status.st_dev, status.st_ino
        if here in above:
            raise UsageError(f"{folder} is a link to a folder that it lies in. Remove the link")
        for path in folder.iterdir():
            if not is_wanted(path.name):
                continue
            status = path.stat()
            if stat.S_ISDIR(status.st_mode):
                yield from self._walk(path, above | {here})
            elif stat.S_ISREG(status.st_mode):
                yield Entry(path.relative_to(self._root).as_posix(), status.st_size)
            else:
                raise UsageError(f"{path} is neither a file nor a folder. Remove it")

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
            raise _unreadable(error) from error
        return entry._replace(crc=crc)

    def read(self, entry: Entry) -> bytes:
        """The bytes of a file.

        Raises:
            UnusableError: They are not those that the checksum was made of.
        """
        return intact((self._root / entry.path).read_bytes(), entry)

    def close(self) -> None:
        """Nothing is open."""


def _unreadable(error: OSError) -> UsageError:
    return UsageError(f"{error.filename} cannot be read: {error.strerror}. Mend or remove it")
