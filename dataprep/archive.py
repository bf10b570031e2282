"""A zip archive of images, read in place."""

import os
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import PurePosixPath

from dataprep.entry import Entry, intact, is_wanted
from dataprep.errors import UsageError
from dataprep.jpeg import UnusableError
from dataprep.storage import open_file
from dataprep.zip_directory import BadZipError, read_directory

# The header before each file's bytes; all but the lengths of its last two fields is in the central
# directory too. https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT, 4.3.7
HEADER = struct.Struct("<4s22xHH")
SIGNATURE = b"PK\3\4"


class Archive:
    """A zip archive on this machine or on an object store; a `dataprep.source.Source`."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._file = open_file(path)

    def entries(self) -> Iterator[Entry]:
        """Yields all files but junk.

        Raises:
            UsageError: The archive cannot be used; the message names the member.
        """
        try:
            for entry in read_directory(self._file):
                self._check(entry)
                if is_wanted(entry.path):
                    yield entry
        except (BadZipError, UnicodeDecodeError) as error:
            raise UsageError(
                f"{self._path} is no whole zip archive: {error}. It was cut short, or is something "
                "else; get it again"
            ) from error

    def _check(self, entry: Entry) -> None:
        if entry.path.startswith("/") or ".." in PurePosixPath(entry.path).parts:
            raise UsageError(
                f"{self._path}: its member {entry.path!r} points out of the archive, which is how "
                "an attack looks. Get the archive from where it was made"
            )
        if entry.method not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise UsageError(
                f"{self._path}: its member {entry.path!r} is encrypted, or compressed otherwise "
                "than by deflate. Unpack the archive, and give the folder as --source"
            )

    def with_checksum(self, entry: Entry) -> Entry:
        """The entry itself: the directory has checksums."""
        return entry

    def read(self, entry: Entry) -> bytes:
        """The bytes of a file.

        Raises:
            UnusableError: They are not those that the directory lists.
        """
        self._file.seek(entry.offset)
        header = self._file.read(HEADER.size)
        if len(header) < HEADER.size or not header.startswith(SIGNATURE):
            raise UnusableError("damaged in the source: the zip archive has no header for it")
        _, name_bytes, extra_bytes = HEADER.unpack(header)
        self._file.seek(name_bytes + extra_bytes, os.SEEK_CUR)
        data = self._file.read(entry.packed)
        if entry.method == zipfile.ZIP_DEFLATED:
            try:
                data = zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, entry.size + 1)
            except zlib.error as error:
                raise UnusableError(f"damaged in the source: {error}") from error
        return intact(data, entry)

    def close(self) -> None:
        """Closes the archive."""
        self._file.close()
