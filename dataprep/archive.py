"""A zip archive of images, read in place.

Its directory is read one member after the other: Python's `zipfile` holds 600 bytes for each member
as long as the archive is open, which for a million images is more than all workers together need.

https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT, sections 4.3 and 4.5.3
"""

import os
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import BinaryIO

from dataprep.entry import Entry, intact
from dataprep.errors import UsageError
from dataprep.jpeg import UnusableError
from dataprep.storage import open_file
from dataset.image_files import is_junk

END = struct.Struct("<4s8xLLH")  # signature, directory's size, its offset, comment's length
END_SIGNATURE = b"PK\5\6"
MOST_COMMENT_BYTES = 0xFFFF
LOCATOR = struct.Struct("<4s4xQ4x")  # signature, offset of the record END64
LOCATOR_SIGNATURE = b"PK\6\7"
END64 = struct.Struct("<4s36xQQ")  # signature, directory's size, its offset
END64_SIGNATURE = b"PK\6\6"

# Signature, flags, method, CRC-32, packed size, size, lengths of name, extra and comment, offset.
MEMBER = struct.Struct("<4s4xHH4xLLLHHH8xL")
MEMBER_SIGNATURE = b"PK\1\2"
ENCRYPTED, UTF8 = 1, 0x800  # flags
IN_EXTRA = 0xFFFFFFFF  # instead of a size or offset that needs 64 bits
EXTRA = struct.Struct("<HH")  # kind, size
EXTRA_64 = 1  # the kind that holds them
LONG = struct.Struct("<Q")

ENCRYPTED_METHOD = -1  # not one of the format's: what is encrypted cannot be read in any way


class BadZipError(ValueError):
    """It is not a whole zip archive; the message says what is wrong."""


def read_directory(file: BinaryIO) -> Iterator[Entry]:
    """Yields the members of a zip archive that are files, in the directory's order.

    Raises:
        BadZipError: On coming to what is no zip archive.
    """
    end, size, offset = _find_directory(file)
    before = end - size - offset  # bytes before the archive, as in one that unpacks itself
    file.seek(end - size)
    while file.tell() < end:
        header = file.read(MEMBER.size)
        if len(header) < MEMBER.size or not header.startswith(MEMBER_SIGNATURE):
            raise BadZipError("its directory is damaged")
        (_, flags, method, crc, *sizes, name_bytes, extra_bytes, comment_bytes, start) = (
            MEMBER.unpack(header)
        )
        name = file.read(name_bytes).decode("utf-8" if flags & UTF8 else "cp437")
        extra = file.read(extra_bytes)
        file.seek(comment_bytes, os.SEEK_CUR)
        packed, full, start = _long(extra, sizes[0], sizes[1], start)
        if not name.endswith("/"):
            method = ENCRYPTED_METHOD if flags & ENCRYPTED else method
            yield Entry(name, full, crc, before + start, packed, method)


def _find_directory(file: BinaryIO) -> tuple[int, int, int]:
    """The directory's end in the file, its size, and the offset at which it says it is."""
    length = file.seek(0, os.SEEK_END)
    tail_start = max(length - END.size - MOST_COMMENT_BYTES, 0)
    file.seek(tail_start)
    tail = file.read()
    place = tail.rfind(END_SIGNATURE)
    if place < 0 or len(tail) - place < END.size:
        raise BadZipError("it has no directory at its end")
    _, size, offset, _ = END.unpack_from(tail, place)
    end = tail_start + place
    if end >= LOCATOR.size + END64.size:
        file.seek(end - LOCATOR.size - END64.size)
        signature, size64, offset64 = END64.unpack(file.read(END64.size))
        locator, _ = LOCATOR.unpack(file.read(LOCATOR.size))
        if (signature, locator) == (END64_SIGNATURE, LOCATOR_SIGNATURE):
            end, size, offset = end - LOCATOR.size - END64.size, size64, offset64
    if size + offset > end:
        raise BadZipError("its beginning is missing")
    return end, size, offset


def _long(extra: bytes, packed: int, full: int, start: int) -> tuple[int, int, int]:
    """The sizes and the offset of a member, from its extra field as far as they are there."""
    values = [full, packed, start]  # in the order of the extra field
    if IN_EXTRA in values:
        place = 0
        while place + EXTRA.size <= len(extra):
            kind, size = EXTRA.unpack_from(extra, place)
            place += EXTRA.size
            if kind == EXTRA_64:
                longs = LONG.iter_unpack(extra[place : place + size // LONG.size * LONG.size])
                values = [next(longs)[0] if v == IN_EXTRA else v for v in values]
            place += size
    full, packed, start = values
    return packed, full, start


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
                if not is_junk(entry.path):
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
