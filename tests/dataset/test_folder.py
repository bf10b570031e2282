"""A data set's folder: what is read of it, what is no such folder, and the classes' names."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from dataset.errors import DataError
from dataset.folder import read_dataset

CONVERTED = Path(__file__).parents[2].parent / "shared" / "data" / "imagenet-tfrecords-5classes"


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
