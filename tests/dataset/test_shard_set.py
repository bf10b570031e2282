"""The shards that a folder must have: as many as their names say, and as the manifest tells."""

import json
import os

import pytest

from dataset.errors import DataError, listed
from dataset.folder import order_shards, read_dataset
from dataset.manifest import Manifest, Shard, check_against_manifest, parse_manifest

# ---- shards by their names


def names(split: str, indices: range, count: int) -> list[str]:
    return [f"{split}/{split}-{index:05d}-of-{count:05d}" for index in indices]


def test_shards_are_put_in_order():
    wanted = names("val", range(12), 12)
    assert order_shards("data", "val", reversed(wanted)) == tuple(wanted)
    assert order_shards("data", "val", []) == ()


def test_missing_shard(folder):
    (folder / "train" / "train-00001-of-00003").unlink()
    with pytest.raises(
        DataError,
        match="3 train shards announced, 2 present: missing train/train-00001-of-00003",
    ):
        read_dataset(folder)


def test_many_missing_shards_are_counted():
    with pytest.raises(
        DataError, match=r"128 train .* 1 present: missing .*00003-of-00128 and 124 more\. Copy"
    ):
        order_shards("data", "train", names("train", range(1), 128))


def test_two_shard_sets_in_one_folder(folder, write_shards):
    write_shards(folder, "train", [[b"a"], [b"b"]])
    with pytest.raises(DataError, match="train mixes shard sets of 2 and 3"):
        read_dataset(folder)


def test_shard_beyond_the_announced_number(folder):
    (folder / "val" / "val-00002-of-00002").touch()
    with pytest.raises(DataError, match="2 val shards announced, so val/val-00002-of-00002 cannot"):
        read_dataset(folder)


@pytest.mark.parametrize("name", ["train-00000-of-00003.gz", "train-old", "train-0-of-3"])
def test_file_that_would_be_read_as_a_shard(folder, name):
    (folder / "train" / name).touch()
    with pytest.raises(DataError, match=f"{name} would be read as a shard"):
        read_dataset(folder)


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, ""),
        (1, "0"),
        (3, "0, 1, 2"),
        (4, "0, 1, 2 and 1 more"),
        (2003, "0, 1, 2 and 2,000 more"),
    ],
)
def test_long_lists_are_cut(number, text):
    assert listed([str(n) for n in range(number)]) == text


# ---- the manifest

WRITTEN = Manifest(
    records={"train": 4, "val": 2},
    shards={
        "train/train-00000-of-00002": Shard(100, 3, "aa"),
        "train/train-00001-of-00002": Shard(50, 1, "bb"),
        "val/val-00000-of-00001": Shard(70, 2, "cc"),
    },
    synsets=("n01", "n02"),
    labels_sha256="dd",
)


@pytest.mark.parametrize(
    ("changed", "difference"),
    [
        ({}, []),
        ({"train/train-00001-of-00002": None}, ["train/train-00001-of-00002 is missing"]),
        (
            {"train/train-00002-of-00002": Shard(9, 9, "ee")},
            ["train/train-00002-of-00002 is one too many"],
        ),
        (
            {"val/val-00000-of-00001": Shard(1234, 2, "cc")},
            ["val/val-00000-of-00001 has 1,234 bytes instead of 70"],
        ),
        (
            {"val/val-00000-of-00001": Shard(70, 1, "ee")},
            ["val/val-00000-of-00001 has 1 records, not 2"],
        ),
        (
            {"val/val-00000-of-00001": Shard(70, 2, "ee")},
            ["val/val-00000-of-00001 was altered: its SHA-256 is another"],
        ),
        ({"val/val-00000-of-00001": Shard(70)}, []),  # what is not known is not compared
        (
            {"val/val-00000-of-00001": None, "train/train-00000-of-00002": Shard(99)},
            [
                "train/train-00000-of-00002 has 99 bytes instead of 100",
                "val/val-00000-of-00001 is missing",
            ],
        ),
    ],
)
def test_every_difference_from_the_manifest_is_told(changed, difference):
    found = {name: shard for name, shard in {**WRITTEN.shards, **changed}.items() if shard}
    assert WRITTEN.differences(found) == difference
    if difference:
        with pytest.raises(DataError) as raised:
            check_against_manifest("my/data", WRITTEN, found)
        message = f"my/data is not as its manifest.json says: {', '.join(difference)}. "
        assert str(raised.value).startswith(message)
    else:
        check_against_manifest("my/data", WRITTEN, found)


def test_manifest_of_a_folder(folder, write_manifest):
    write_manifest(folder, ("Kätzchen", 'a "b"'))
    manifest = parse_manifest((folder / "manifest.json").read_bytes(), "manifest.json")
    assert manifest.records == {"train": 7, "val": 2}
    assert manifest.synsets == ("Kätzchen", 'a "b"')
    assert set(manifest.shards) == {
        *names("train", range(3), 3),
        *names("val", range(2), 2),
    }
    shard = manifest.shards["val/val-00001-of-00002"]
    assert (shard.bytes, shard.records) == (34, 2)


@pytest.mark.parametrize("change", [-1, 1])
def test_shard_of_another_size_than_the_manifest_tells(folder, write_manifest, change):
    write_manifest(folder)
    os.truncate(folder / "val" / "val-00001-of-00002", 34 + change)
    with pytest.raises(
        DataError, match=rf"val-00001-of-00002 has {34 + change} bytes instead of 34"
    ):
        read_dataset(folder)


def test_shards_that_the_manifest_does_not_tell_of(folder, write_manifest, write_shards):
    write_manifest(folder)
    for shard in (folder / "val").iterdir():
        shard.unlink()
    write_shards(folder, "val", [[b"x", b"y"]])
    with pytest.raises(
        DataError,
        match="val-00000-of-00001 is one too many, .*00000-of-00002 is missing, .*remove manifest",
    ):
        read_dataset(folder)


@pytest.mark.parametrize(
    "text",
    [b"", b"[]", b"{}", b'"splits"', b'{"splits": {"train": 3}}', b"\xff\xfe{", b'{"a": "\xe4"}'],
)
def test_manifest_of_something_else(folder, text):
    (folder / "manifest.json").write_bytes(text)
    with pytest.raises(DataError, match=r"manifest\.json is not a manifest .* Remove it"):
        read_dataset(folder)


@pytest.mark.parametrize("lacking", ["splits", "synsets", "labels_sha256", "val", "shards"])
def test_manifest_that_lacks_something(folder, write_manifest, lacking):
    manifest = write_manifest(folder)
    for part in (manifest, manifest["splits"], manifest["splits"]["train"]):
        part.pop(lacking, None)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(DataError, match=rf"manifest\.json is not a manifest .*'{lacking}'"):
        read_dataset(folder)
