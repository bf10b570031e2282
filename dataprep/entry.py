"""A file inside a source of images, and the rules that all of them keep."""

import zipfile
import zlib
from typing import NamedTuple

from dataprep.errors import UsageError
from dataprep.jpeg import UnusableError

JUNK = {"__MACOSX", "Thumbs.db", "desktop.ini"}  # beside hidden files, what systems leave about


class Entry(NamedTuple):
    """A file of a source, with what is needed to read it at random access.

    Attributes:
        path: Inside the source, with slashes.
        size: Bytes.
        crc: CRC-32 of the bytes.
        offset: Of its header in the zip archive.
        packed: Bytes in the zip archive.
        method: Of compression there.
    """

    path: str
    size: int
    crc: int = 0
    offset: int = 0
    packed: int = 0
    method: int = zipfile.ZIP_STORED


def is_wanted(path: str) -> bool:
    """Whether a file is neither hidden nor junk.

    Raises:
        UsageError: The name is not UTF-8.
    """
    try:
        path.encode()
    except UnicodeEncodeError as error:
        raise UsageError(f"a file's name is not UTF-8: {path!r}. Rename it") from error
    return not any(part in JUNK or part.startswith(".") for part in path.split("/"))


def intact(data: bytes, entry: Entry) -> bytes:
    """`data`, read for `entry`, once it is what the checksum was made of; else `UnusableError`."""
    if len(data) != entry.size or zlib.crc32(data) != entry.crc:
        raise UnusableError("damaged in the source: its size or checksum is wrong")
    return data
