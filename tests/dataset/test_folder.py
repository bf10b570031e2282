import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from dataset.errors import DataError, listed
from dataset.folder import order_shards, read_dataset
from dataset.manifest import Manifest, Shard, check_against_manifest, parse_manifest

CONVERTED = Path(__file__).parents[2].parent / "shared" / "data" / "imagenet-tfrecords-5classes"


@pytest.fixture
def folder(tmp_path, write_shards):
    folder = tmp_path / "my dätä [1]"
    write_shards(folder, "train", [[b"a", b"bc", b""], [], [b"d"] * 4])
    write_shards(folder, "val", [[], [b"x", b"y"]])
    return folder


# ---- the folder


def test_counts_records_by_walking_the_shards(folder):
    dataset = read_dataset(folder)
    assert dataset.path == folder
    assert dataset.records == {"train": 7, "val": 2}
    assert dataset.shards["val"] == (
        folder / "val/val-00000-of-00002",
        folder / "val/val-00001-of-00002",
    )
    assert dataset.class_names is None
    assert dataset.synsets is None


def test_takes_records_and_synsets_from_a_manifest_that_agrees(folder, write_manifest):
    manifest = write_manifest(folder, ("n01", "n02"))
    manifest["splits"]["val"]["records"] = 1000  # so that it is seen where it came from
    (folder / "manifest.json").write_text(json.dumps(manifest))
    dataset = read_dataset(folder)
    assert dataset.records == {"train": 7, "val": 1000}
    assert dataset.synsets == ("n01", "n02")


def test_ignores_files_with_other_names(folder):
    (folder / "README.md").write_text("about")
    (folder / "train" / ".train-00000-of-00003.swp").write_text("hidden")
    (folder / "train" / "notes.txt").write_text("notes")
    (folder / "val" / "val-old").mkdir()
    assert read_dataset(folder).records == {"train": 7, "val": 2}


def test_reads_what_the_imagenet_conversion_tool_wrote():
    if not CONVERTED.is_dir():
        pytest.skip(f"needs the shards of the ImageNet conversion tool at {CONVERTED}")
    dataset = read_dataset(CONVERTED)
    assert dataset.records == {"train": 500, "val": 100}
    assert (len(dataset.shards["train"]), len(dataset.shards["val"])) == (128, 64)
    assert dataset.class_names is None


def test_imports_nothing_heavy():
    code = (
        "import sys, dataset.folder; "
        "sys.exit(bool({'tensorflow', 'keras', 'tfx', 'numpy'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_folder_that_does_not_exist(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere does not exist.*python -m dataprep"):
        read_dataset(tmp_path / "nowhere")


def test_file_in_place_of_a_folder(tmp_path):
    (tmp_path / "data.zip").touch()
    with pytest.raises(NotADirectoryError, match=r"data\.zip is a file"):
        read_dataset(tmp_path / "data.zip")


def test_folder_without_shards(tmp_path):
    with pytest.raises(DataError, match=r"has no train and no val shards.* holds: nothing"):
        read_dataset(tmp_path)


def test_split_of_another_name(folder):
    (folder / "val").rename(folder / "validation")
    with pytest.raises(
        DataError,
        match=r"has no val shards. It holds: train, validation. Wanted: val/val-00000-of-00001",
    ):
        read_dataset(folder)


@pytest.mark.parametrize("split", ["train", "val"])
def test_split_without_records(folder, split):
    for shard in (folder / split).iterdir():
        shard.write_bytes(b"")
    with pytest.raises(DataError, match=rf"{split}: all \d shards are empty"):
        read_dataset(folder)


@pytest.mark.parametrize("left", [5, 12, 16, 33, 36])  # the records begin at bytes 0, 17 and 35
def test_shard_cut_short(folder, left):
    os.truncate(folder / "train" / "train-00000-of-00003", left)
    record, start = (0, 0) if left < 17 else (1, 17) if left < 35 else (2, 35)
    with pytest.raises(
        DataError,
        match=rf"train-00000-of-00003: record {record}, at byte {start}, is cut short",
    ):
        read_dataset(folder)


def test_compressed_shard(folder):
    (folder / "val" / "val-00001-of-00002").write_bytes(b"\x1f\x8b" + bytes(50))
    with pytest.raises(
        DataError, match=r"val-00001-of-00002: .* gzip file, of which `python -m datapr"
    ):
        read_dataset(folder)


def test_shard_that_begins_as_a_gzip_file_does(folder, write_shards):
    """By the length of its first record: 1F 8B 00 … in the file."""
    write_shards(folder, "val", [[b"x" * 0x8B1F], [b"y"]])
    assert read_dataset(folder).records["val"] == 2


@pytest.mark.parametrize("name", ["train.tfrecord", "set-train.tfrecord-00000-of-00002", "a.tfrec"])
def test_tfrecord_files_of_other_names(tmp_path, name):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / name).touch()
    wanted = (
        rf"Wanted: train/train-0.*`python -m dataprep tfrecords --source {tmp_path} --output "
        rf"{tmp_path}-converted` takes TFRecord files of other names: in/{name}"
    )
    with pytest.raises(DataError, match=wanted):
        read_dataset(tmp_path)


def test_folder_above_a_data_set(folder):
    with pytest.raises(DataError, match=rf"Such shards are in {re.escape(str(folder))}$"):
        read_dataset(folder.parent)


def test_shards_whose_names_go_on(folder):
    """As some tools write them, and others look for them."""
    shard = folder / "val" / "val-00000-of-00002"
    shard.rename(f"{shard}.tfrecord")
    wanted = r"val-00000-of-00002.tfrecord would be read.*are taken by `python -m dataprep tfrecord"
    with pytest.raises(DataError, match=wanted):
        read_dataset(folder)


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


# ---- the class names


@pytest.mark.parametrize(
    "text",
    ['Kätzchen\n"Tom\'s" 猫\n', 'Kätzchen\n"Tom\'s" 猫', '\ufeffKätzchen\r\n"Tom\'s" 猫\r\n'],
    ids=["plain", "no last newline", "as Windows writes it"],
)
def test_class_names(folder, text):
    (folder / "labels.txt").write_bytes(text.encode())
    assert read_dataset(folder).class_names == ("Kätzchen", '"Tom\'s" 猫')


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "line 1: no name"),
        (b"cat\n\ndog\n", "line 2: no name"),
        (b"cat\ndog\n \n", "line 3: no name"),
        (b"cat\ndog\ncat \n", "line 3: 'cat' is on line 1 already"),
        (b"cat\n\xe9t\xe9\n", "is not UTF-8"),
    ],
)
def test_bad_class_names(folder, data, message):
    (folder / "labels.txt").write_bytes(data)
    with pytest.raises(DataError, match=f"labels.txt.*{message}"):
        read_dataset(folder)


def test_class_names_that_are_not_those_the_manifest_tells_of(folder, write_manifest):
    (folder / "labels.txt").write_text("cat\ndog\n")
    write_manifest(folder)
    assert read_dataset(folder).class_names == ("cat", "dog")
    (folder / "labels.txt").write_text("dog\ncat\n")
    with pytest.raises(DataError, match=r"labels\.txt is not as manifest\.json says"):
        read_dataset(folder)
