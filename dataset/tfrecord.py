"""The framing of TFRecord files, written and read over any binary file object.

TensorFlow's own reader and writer know local folders and gs://; Beam's file systems, which this is
used with, know the others too. Imports nothing of TensorFlow.

https://www.tensorflow.org/tutorials/load_data/tfrecord#tfrecords_format_details
"""

import hashlib
import io
import struct
from collections.abc import Iterator
from typing import BinaryIO

import google_crc32c

LENGTH = struct.Struct("<Q")  # of the data, bytes
CHECKSUM = struct.Struct("<I")  # masked CRC-32C: one of the length, one of the data
HEADER_BYTES = LENGTH.size + CHECKSUM.size
OVERHEAD_BYTES = HEADER_BYTES + CHECKSUM.size  # of a record, beside its data
GZIP = b"\x1f\x8b"  # begins a gzip file; and a record of 35,615 bytes, for one


class CorruptShardError(ValueError):
    """A TFRecord file is cut short, altered, or no such file; the message says where and how."""


class HashingReader:
    """A binary file that is read from its beginning, and the digest and size of what was read."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.sha256 = hashlib.sha256()
        self.bytes = 0

    def read(self, size: int) -> bytes:
        """Reads `size` bytes, or less at the file's end."""
        data = self._file.read(size)
        self.sha256.update(data)
        self.bytes += len(data)
        return data

    def drain(self) -> None:
        """Reads what is left."""
        while self.read(2**20):
            pass


def frame(data: bytes) -> bytes:
    """The bytes of a TFRecord file for one record."""
    length = LENGTH.pack(len(data))
    return b"".join((length, _masked_crc(length), data, _masked_crc(data)))


def read_records(file: BinaryIO | HashingReader) -> Iterator[bytes]:
    """Yields the records of a TFRecord file in order, checksums compared.

    Args:
        file: Open at its beginning.

    Raises:
        CorruptShardError: On coming to a record that is cut short or was altered.
    """
    for index, start, size in _walk(file):
        data = file.read(size)
        checksum = file.read(CHECKSUM.size)
        if len(data) < size or len(checksum) < CHECKSUM.size:
            raise _cut_short(index, start)
        if checksum != _masked_crc(data):
            raise CorruptShardError(f"record {index}, at byte {start}, was altered: wrong checksum")
        yield data


def count_records(file: BinaryIO) -> int:
    """The number of records of a TFRecord file, whose data are passed over.

    Args:
        file: Seekable, open at its beginning.

    Raises:
        CorruptShardError: A record is cut short, or is none.
    """
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    count = 0
    for index, start, length in _walk(file):
        end = start + length + OVERHEAD_BYTES
        if end > size:
            raise _cut_short(index, start)
        file.seek(end)
        count += 1
    return count


def is_header(data: bytes) -> bool:
    """Whether a record could begin with `data`, `HEADER_BYTES` of them."""
    return len(data) == HEADER_BYTES and data[LENGTH.size :] == _masked_crc(data[: LENGTH.size])


def _walk(file: BinaryIO | HashingReader) -> Iterator[tuple[int, int, int]]:
    """Yields each record's index, first byte and data size; the caller takes the data itself."""
    index = start = 0
    while header := file.read(HEADER_BYTES):
        length = header[: LENGTH.size]
        if len(header) < HEADER_BYTES:
            raise _cut_short(index, start)
        if not is_header(header):
            reason = "the file was altered, or is no uncompressed TFRecord file"
            if not start and header.startswith(GZIP):
                reason = "it is a gzip file, of which `python -m dataprep tfrecords` makes shards"
            raise CorruptShardError(
                f"record {index}, at byte {start}, has no valid header: {reason}"
            )
        (size,) = LENGTH.unpack(length)
        yield index, start, size
        index, start = index + 1, start + size + OVERHEAD_BYTES


def _cut_short(index: int, start: int) -> CorruptShardError:
    return CorruptShardError(f"record {index}, at byte {start}, is cut short")


def _masked_crc(data: bytes) -> bytes:
    crc = google_crc32c.value(data)
    return CHECKSUM.pack(((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)
