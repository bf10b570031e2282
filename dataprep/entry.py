"""A file inside a source of images, and the rules that all of them keep."""

import zipfile
import zlib
from typing import NamedTuple

from dataprep.jpeg import UnusableError


class Entry(NamedTuple):
    """A file or folder of a source, with what is needed to read it at random access.

    Attributes:
        path: Inside the source, with slashes; a folder's ends with one.
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

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder."""
        return self.path.endswith("/")


def intact(data: bytes, entry: Entry) -> bytes:
    """`data`, read for `entry`, once it is what the checksum was made of; else `UnusableError`."""
    if len(data) != entry.size or zlib.crc32(data) != entry.crc:
        raise UnusableError("damaged in the source: its size or checksum is wrong")
    return data
