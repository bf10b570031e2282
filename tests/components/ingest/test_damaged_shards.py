"""Damaged shards: each is told of, and what is whole of them is read."""

import gzip
import hashlib
import itertools

import pytest

from dataset.manifest import Shard

pytestmark = pytest.mark.slow  # they run Beam

DAMAGED = {  # what is done to a shard: the beginning of what is told of it
    "cut inside the first header": "record 0, at byte 0, is cut short",
    "cut inside a length": "record 2, at byte {2}, is cut short",
    "cut inside the length's checksum": "record 2, at byte {2}, is cut short",
    "cut inside the data": "record 2, at byte {2}, is cut short",
    "cut inside the data's checksum": "record 2, at byte {2}, is cut short",
    "bit flipped in a length": "record 1, at byte {1}, has no valid header",
    "bit flipped in the length's checksum": "record 1, at byte {1}, has no valid header",
    "bit flipped in the data": "record 1, at byte {1}, was altered: wrong checksum",
    "bit flipped in the data's checksum": "record 1, at byte {1}, was altered: wrong checksum",
    "gzipped": "record 0, at byte 0, has no valid header: it is a gzip file",
    "text": "record 0, at byte 0, has no valid header",
}


def damage(shard: bytes, starts: list[int], kind: str) -> bytes:
    """The shard, whose records start at `starts` and end at the last of them, damaged."""
    places = {"a length": 3, "length's": 9, "the data": 20}
    offset = next((n for place, n in places.items() if kind.endswith(place)), 9)
    if kind == "cut inside the first header":
        return shard[:7]
    if kind == "gzipped":
        return gzip.compress(shard)
    if kind == "text":
        return b"These are not the records you are looking for."
    record = 2 if kind.startswith("cut") else 1
    byte = starts[record + 1] - 2 if "data's" in kind else starts[record] + offset
    if kind.startswith("cut"):
        return shard[:byte]
    return shard[:byte] + bytes([shard[byte] ^ 0x40]) + shard[byte + 1 :]


@pytest.fixture(scope="module")
def damaged(run, example, images, write_shards, tmp_path_factory):
    """The damaged shards' bytes by kind, where their records start, and what was found."""
    folder = tmp_path_factory.mktemp("damaged")
    records = [example(images[n], 1 + n % 3) for n in range(4)]
    starts = [0, *itertools.accumulate(len(serialized) + 16 for serialized in records)]
    paths = write_shards(folder, "train", [records] * len(DAMAGED))
    [shard, _] = write_shards(folder, "val", [records, []])
    (folder / "val" / "val-00000-of-00002.gz").write_bytes(gzip.compress(shard.read_bytes()))
    contents = {}
    for kind, path in zip(DAMAGED, paths, strict=True):
        contents[kind] = damage(path.read_bytes(), starts, kind)
        path.write_bytes(contents[kind])
    return contents, starts, run(folder)


@pytest.mark.parametrize(("index", "kind"), enumerate(DAMAGED), ids=DAMAGED)
def test_damaged_shard_is_told_and_ends_nothing(damaged, index, kind):
    contents, starts, ran = damaged
    name = f"train/train-{index:05d}-of-{len(DAMAGED):05d}"
    assert ran.report.faults[name].startswith(DAMAGED[kind].format(*starts))
    whole = int(DAMAGED[kind].split(",")[0].removeprefix("record "))  # records before the fault
    content = contents[kind]
    # The digest is that of the whole file, also of what lies behind the fault.
    assert ran.report.shards[name] == Shard(
        len(content), whole, hashlib.sha256(content).hexdigest()
    )


def test_other_shards_and_the_records_before_a_fault_are_read(damaged):
    _, _, ran = damaged
    assert len(ran.report.faults) == len(DAMAGED) + 1
    assert ran.report.good("val") == ran.records("val").total() == 4
    assert ran.report.good("train") == ran.records("train").total() == 4 * 2 + 4 * 1


def test_compressed_shard_is_not_read_whatever_its_name(damaged):
    """The next reader would not decompress it either; DataGate refuses its name too."""
    _, _, ran = damaged
    assert "it is a gzip file" in ran.report.faults["val/val-00000-of-00002.gz"]


def test_without_bad_records_quarantine_is_empty(damaged):
    _, _, ran = damaged
    assert ran.quarantine == []
    assert not ran.quarantined
