import hashlib
import io

import numpy as np
import pytest
import tensorflow as tf

from dataset.tfrecord import CorruptShardError, HashingReader, count_records, frame, read_records

RECORDS = [b"first", b"", b"the third, somewhat longer"]
STARTS = [0, 21, 37]  # 16 bytes of framing each
SHARD = b"".join(map(frame, RECORDS))
HEADER = 12


def record_at(byte: int) -> int:
    """The record that the byte is part of."""
    return sum(start <= byte for start in STARTS) - 1


def read(shard: bytes) -> list[bytes]:
    return list(read_records(io.BytesIO(shard)))


@pytest.fixture(scope="module")
def many():
    """Records of all lengths up to 300, and one of 3 MB."""
    bits = np.random.default_rng(1)
    return [bits.bytes(length) for length in range(300)] + [bits.bytes(3_000_000)]


def test_reads_what_tensorflow_writes(many, tmp_path):
    path = tmp_path / "shard"
    with tf.io.TFRecordWriter(str(path)) as writer:
        for data in many:
            writer.write(data)
    assert path.read_bytes() == b"".join(map(frame, many))
    with path.open("rb") as file:
        assert list(read_records(file)) == many
    with path.open("rb") as file:
        assert count_records(file) == len(many)


def test_tensorflow_reads_what_was_framed(many, tmp_path):
    path = tmp_path / "shard"
    path.write_bytes(b"".join(map(frame, many)))
    assert [data.numpy() for data in tf.data.TFRecordDataset(str(path))] == many


def test_empty_shard_has_no_records():
    assert read(b"") == []
    assert count_records(io.BytesIO(b"")) == 0


@pytest.mark.parametrize("length", [n for n in range(1, len(SHARD)) if n not in STARTS])
def test_shard_cut_anywhere_inside_a_record_is_told(length):
    """In a length, in either checksum, in the data: by reading and by counting."""
    index = record_at(length)
    message = rf"^record {index}, at byte {STARTS[index]}, is cut short$"
    found = read_records(io.BytesIO(SHARD[:length]))
    assert [next(found) for _ in range(index)] == RECORDS[:index]  # those before it are whole
    with pytest.raises(CorruptShardError, match=message):
        next(found)
    with pytest.raises(CorruptShardError, match=message):
        count_records(io.BytesIO(SHARD[:length]))


def test_shard_cut_between_records_is_a_shorter_shard():
    assert read(SHARD[: STARTS[2]]) == RECORDS[:2]
    assert count_records(io.BytesIO(SHARD[: STARTS[2]])) == 2


@pytest.mark.parametrize("byte", range(len(SHARD)))
def test_any_flipped_bit_is_told(byte):
    index = record_at(byte)
    for bit in range(8):
        altered = bytearray(SHARD)
        altered[byte] ^= 1 << bit
        found = read_records(io.BytesIO(bytes(altered)))
        assert [next(found) for _ in range(index)] == RECORDS[:index]
        with pytest.raises(CorruptShardError, match=rf"^record {index}, at byte {STARTS[index]}, "):
            next(found)


@pytest.mark.parametrize("byte", range(STARTS[1], STARTS[1] + HEADER))
def test_counting_tells_a_flipped_bit_of_a_header(byte):
    altered = bytearray(SHARD)
    altered[byte] ^= 0x10
    with pytest.raises(CorruptShardError, match=r"^record 1, at byte 21, has no valid header"):
        count_records(io.BytesIO(bytes(altered)))


@pytest.mark.parametrize(
    "content", [b"no TFRecord file, but a text", bytes(1000)], ids=["text", "zeros"]
)
def test_some_other_file_is_told(content):
    with pytest.raises(CorruptShardError, match="no uncompressed TFRecord file"):
        read(content)
    with pytest.raises(CorruptShardError, match="no uncompressed TFRecord file"):
        count_records(io.BytesIO(content))


@pytest.mark.parametrize(
    ("compression", "reason"),
    [("GZIP", "it is a gzip file"), ("ZLIB", "no uncompressed TFRecord file")],
)
def test_compressed_shard_is_told(compression, reason, tmp_path):
    path = tmp_path / "shard"
    with tf.io.TFRecordWriter(str(path), compression) as writer:
        writer.write(b"one record")
    with pytest.raises(CorruptShardError, match=reason):
        read(path.read_bytes())


def test_hashing_reader_knows_the_digest_and_size_of_the_whole_file(many):
    shard = b"".join(map(frame, many))
    reader = HashingReader(io.BytesIO(shard))
    assert list(read_records(reader)) == many
    assert (reader.bytes, reader.sha256.hexdigest()) == (
        len(shard),
        hashlib.sha256(shard).hexdigest(),
    )


def test_hashing_reader_reads_on_behind_a_fault(many):
    shard = SHARD[:3] + b"\xff" + SHARD[4:] + b"".join(map(frame, many))
    reader = HashingReader(io.BytesIO(shard))
    with pytest.raises(CorruptShardError):
        list(read_records(reader))
    assert reader.bytes < len(shard)
    reader.drain()
    assert (reader.bytes, reader.sha256.hexdigest()) == (
        len(shard),
        hashlib.sha256(shard).hexdigest(),
    )
