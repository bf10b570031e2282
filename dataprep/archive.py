"""A zip archive of images, read in place.

Its directory is read one member after the other: of an archive with 1,000,000 members Python's
`zipfile` takes 600 MiB for as long as it is open, and this nothing (measured on 2026-11-26).

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
EXTRA_NAME = 0x7075  # the kind that holds the name in UTF-8
EXTRA_NAME_HEAD = struct.Struct("<BL")  # version, CRC-32 of the name that the member has besides

# How other files begin that are taken for archives of images; tar's mark comes after a first name.
OTHER_ARCHIVES = {
    b"\x1f\x8b": "gzip (.tar.gz, .tgz)",
    b"BZh": "bzip2 (.tar.bz2)",
    b"\xfd7zXZ\0": "xz (.tar.xz)",
    b"\x28\xb5\x2f\xfd": "Zstandard (.tar.zst)",
    b"7z\xbc\xaf\x27\x1c": "7-Zip (.7z)",
    b"Rar!": "RAR (.rar)",
}
TAR, TAR_PLACE = b"ustar", 257

ENCRYPTED_METHOD = -1  # not one of the format's: what is encrypted cannot be read in any way


class BadZipError(ValueError):
    """It is not a whole zip archive; the message says what is wrong."""


def read_directory(file: BinaryIO) -> Iterator[tuple[Entry, bool]]:
    """Yields the members of a zip archive in the directory's order, and if their names are guessed.

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
        raw = file.read(name_bytes)
        extra = dict(_extra_fields(file.read(extra_bytes)))
        name, guessed = _name(raw, flags, extra.get(EXTRA_NAME, b""))
        file.seek(comment_bytes, os.SEEK_CUR)
        packed, full, start = _long(extra.get(EXTRA_64, b""), sizes[0], sizes[1], start)
        method = ENCRYPTED_METHOD if flags & ENCRYPTED else method
        yield Entry(name, full, crc, before + start, packed, method), guessed


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


def _extra_fields(extra: bytes) -> Iterator[tuple[int, bytes]]:
    """Yields kind and content of the fields that a member has besides the fixed ones."""
    place = 0
    while place + EXTRA.size <= len(extra):
        kind, size = EXTRA.unpack_from(extra, place)
        place += EXTRA.size + size
        yield kind, extra[place - size : place]


def _long(extra: bytes, packed: int, full: int, start: int) -> tuple[int, int, int]:
    """The sizes and the offset of a member, of which `extra` has those that need 64 bits."""
    longs = LONG.iter_unpack(extra[: len(extra) // LONG.size * LONG.size])
    full, packed, start = (  # in the order of the extra field
        next(longs, (value,))[0] if value == IN_EXTRA else value for value in (full, packed, start)
    )
    return packed, full, start


def _name(raw: bytes, flags: int, extra: bytes) -> tuple[str, bool]:
    """A member's name, and whether its encoding is guessed.

    Finder and Info-ZIP write UTF-8 and leave the flag that says so clear; Info-ZIP puts the name
    into an extra field too. What is no UTF-8 was written in a code page that nothing tells; the
    format's own, cp437, is the guess.
    """
    if flags & UTF8:
        return raw.decode(), False
    if len(extra) > EXTRA_NAME_HEAD.size:
        version, crc = EXTRA_NAME_HEAD.unpack_from(extra)
        if version == 1 and crc == zlib.crc32(raw):
            return extra[EXTRA_NAME_HEAD.size :].decode(), False
    try:
        return raw.decode(), False
    except UnicodeDecodeError:
        return raw.decode("cp437"), True


# The header before each file's bytes; all but the lengths of its last two fields is in the central
# directory too. https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT, 4.3.7
HEADER = struct.Struct("<4s22xHH")
SIGNATURE = b"PK\3\4"


class Archive:
    """A zip archive on this machine or on an object store; a `dataprep.source.Source`."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._file = open_file(path)
        self._guessed: list[str] = []

    def entries(self) -> Iterator[Entry]:
        """Yields all files and folders but junk.

        Raises:
            UsageError: The archive cannot be used; the message names the member.
        """
        number, example = 0, ""
        try:
            for entry, guessed in read_directory(self._file):
                self._check(entry)
                if not is_junk(entry.path):
                    if guessed:
                        number, example = number + 1, example or entry.path
                    yield entry
        except (BadZipError, UnicodeDecodeError) as error:
            raise UsageError(self._no_zip(error)) from error
        if number:
            self._guessed = [
                f"{number:,} names in {self._path} are not UTF-8, and nothing tells what they are. "
                f"They were read as code page 437: {example}. If that is wrong, unpack the archive "
                "with the program that made it, and give the folder as --source"
            ]

    def remarks(self) -> list[str]:
        """What a user should know of the archive; empty before `entries` came to its end."""
        return self._guessed

    def _no_zip(self, error: Exception) -> str:
        self._file.seek(0)
        head = self._file.read(TAR_PLACE + len(TAR))
        kinds = [kind for mark, kind in OTHER_ARCHIVES.items() if head.startswith(mark)]
        if head.endswith(TAR):
            kinds = ["tar (.tar)"]
        if kinds:
            return (
                f"{self._path} is not a zip archive but {kinds[0]}. Unpack it and give the folder "
                "as --source, or make a zip archive of that"
            )
        return (
            f"{self._path} is no whole zip archive: {error}. It was cut short, or is something "
            "else; get it again"
        )

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
