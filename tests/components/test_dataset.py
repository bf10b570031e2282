import json
import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from components.dataset import DataError, read_dataset

CONVERTED = Path(__file__).parents[2].parent / "shared" / "data" / "imagenet-tfrecords-5classes"


def tfrecord(data: bytes) -> bytes:
    return struct.pack("<QI", len(data), 0) + data + struct.pack("<I", 0)


def write_shards(folder: Path, split: str, records: list[int]) -> None:
    """Writes one shard for each number in `records`, with that many records of growing length."""
    (folder / split).mkdir(parents=True, exist_ok=True)
    for index, number in enumerate(records):
        shard = folder / split / f"{split}-{index:05d}-of-{len(records):05d}"
        shard.write_bytes(b"".join(tfrecord(b"x" * i) for i in range(number)))


def write_manifest(folder: Path) -> None:
    splits = {
        split: {
            "records": 1000,  # not what the shards hold, so that a test sees where it came from
            "shards": {
                f"{split}/{shard.name}": {"bytes": shard.stat().st_size}
                for shard in (folder / split).iterdir()
            },
        }
        for split in ("train", "val")
    }
    (folder / "manifest.json").write_text(json.dumps({"splits": splits}))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "my dätä [1]"
    write_shards(folder, "train", [3, 0, 4])
    write_shards(folder, "val", [0, 2])
    return folder


def test_counts_records_by_walking_the_shards(folder):
    dataset = read_dataset(folder)
    assert dataset.path == folder
    assert dataset.records == {"train": 7, "val": 2}
    assert dataset.shards["val"] == (
        folder / "val/val-00000-of-00002",
        folder / "val/val-00001-of-00002",
    )
    assert dataset.class_names is None


def test_takes_the_records_from_a_manifest_that_agrees(folder):
    write_manifest(folder)
    assert read_dataset(folder).records == {"train": 1000, "val": 1000}


def test_ignores_files_with_other_names(folder):
    (folder / "README.md").write_text("about")
    (folder / "train" / ".train-00000-of-00003.swp").write_text("hidden")
    (folder / "train" / "notes.txt").write_text("notes")
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
        "import sys, components.dataset; "
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


@pytest.mark.parametrize("left", [5, 12, 30, 44])  # the last record lies in bytes 28 to 45
def test_shard_cut_short(folder, left):
    shard = folder / "train" / "train-00000-of-00001"
    write_shards(folder, "train", [3])
    for other in (folder / "train").glob("*-of-00003"):
        other.unlink()
    os.truncate(shard, left)
    record, start = (0, 0) if left < 16 else (1, 16) if left < 33 else (2, 33)
    with pytest.raises(
        DataError,
        match=rf"train-00000-of-00001: record {record}, at byte {start}, .* end at byte {left}",
    ):
        read_dataset(folder)


def test_missing_shard(folder):
    (folder / "train" / "train-00001-of-00003").unlink()
    with pytest.raises(
        DataError,
        match="3 train shards announced, 2 present: missing train/train-00001-of-00003",
    ):
        read_dataset(folder)


def test_many_missing_shards_are_counted(tmp_path):
    write_shards(tmp_path, "train", [1] * 128)
    for shard in sorted((tmp_path / "train").iterdir())[1:]:
        shard.unlink()
    with pytest.raises(DataError, match=r"1 present: missing .*00003-of-00128 and 124 more"):
        read_dataset(tmp_path)


def test_two_shard_sets_in_one_folder(folder):
    write_shards(folder, "train", [1, 1])
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


def test_shard_of_another_size_than_the_manifest_tells(folder):
    write_manifest(folder)
    shard = folder / "val" / "val-00001-of-00002"
    os.truncate(shard, 16)
    with pytest.raises(
        DataError, match="val-00001-of-00002 has size 16 in the folder but 33 in manifest"
    ):
        read_dataset(folder)


def test_shard_that_the_manifest_does_not_tell_of(folder):
    write_manifest(folder)
    for shard in (folder / "val").iterdir():
        shard.unlink()
    write_shards(folder, "val", [1])
    with pytest.raises(DataError, match="has size 16 in the folder but none in manifest"):
        read_dataset(folder)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"splits": {"train": 3}}', "\xff"])
def test_manifest_of_something_else(folder, text):
    (folder / "manifest.json").write_text(text, "latin-1")
    with pytest.raises(DataError, match=r"manifest\.json is not a manifest .* Remove it"):
        read_dataset(folder)


@pytest.mark.parametrize(
    "text",
    ["Kätzchen\nguinea pig\n", "Kätzchen\nguinea pig", "\ufeffKätzchen\r\nguinea pig\r\n"],
    ids=["plain", "no last newline", "as Windows writes it"],
)
def test_class_names(folder, text):
    (folder / "labels.txt").write_bytes(text.encode())
    assert read_dataset(folder).class_names == ("Kätzchen", "guinea pig")


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
