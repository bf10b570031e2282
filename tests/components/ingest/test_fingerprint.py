import os
import shutil

import pytest

from components.ingest.fingerprint import FolderFingerprint, folder_fingerprint

TRAIN, VAL = "train/train-00000-of-00002", "val/val-00000-of-00001"
WRITTEN = 1_700_000_000  # seconds since 1970


@pytest.fixture
def data(tmp_path):
    """A data set's folder."""
    folder = tmp_path / "data"
    for name, content in (
        ("train/train-00000-of-00002", b"0123"),
        ("train/train-00001-of-00002", b"45"),
        ("val/val-00000-of-00001", b"678"),
        ("labels.txt", b"ant\nbee\n"),
        ("manifest.json", b'{"synsets": []}'),
    ):
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        os.utime(file, (WRITTEN, WRITTEN))
    return folder


def write(data, name, content):
    """Writes a file that is as old as the others."""
    (data / name).write_bytes(content)
    os.utime(data / name, (WRITTEN, WRITTEN))


def add_shard(data):
    write(data, "train/train-00002-of-00003", b"")


def touch(data):
    os.utime(data / VAL, (WRITTEN + 1, WRITTEN + 1))


def touch_two(data):
    """By as much each."""
    for name in ("train/train-00000-of-00002", "train/train-00001-of-00002"):
        os.utime(data / name, (WRITTEN + 1, WRITTEN + 1))


def move_shard(data):
    (data / "train/train-00001-of-00002").rename(data / "val/val-00001-of-00002")


CHANGES = {
    "shard added": add_shard,
    "shard removed": lambda data: (data / TRAIN).unlink(),
    "other size": lambda data: write(data, TRAIN, b"01234"),
    "other time": touch,
    "other time of two": touch_two,
    "shard moved": move_shard,
    "other names": lambda data: write(data, "labels.txt", b"ant\nbat\n"),
    "no names": lambda data: (data / "labels.txt").unlink(),
    "empty names": lambda data: write(data, "labels.txt", b""),
    "other manifest": lambda data: write(data, "manifest.json", b'{"synsets": [1]}'),
    "no manifest": lambda data: (data / "manifest.json").unlink(),
    "manifest appended to names": lambda data: [
        write(data, "labels.txt", b'ant\nbee\n{"synsets": []}'),
        write(data, "manifest.json", b""),
    ],
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_changes_with_the_data(data, change):
    before = folder_fingerprint(str(data))
    change(data)
    assert folder_fingerprint(str(data)) != before


def test_is_the_same_as_long_as_the_data_are(data, tmp_path):
    before = folder_fingerprint(str(data))
    assert folder_fingerprint(str(data)) == before
    copied = shutil.copytree(data, tmp_path / "copied")
    assert folder_fingerprint(str(copied)) == before
    assert folder_fingerprint(f"{data}/") == before


def test_a_slash_at_the_end_is_no_other_folder(data):
    assert folder_fingerprint(f"{data}/") == folder_fingerprint(str(data))


def test_other_files_do_not_matter(data):
    before = folder_fingerprint(str(data))
    for name in ("notes.txt", "train/notes.txt", "train/.train-00000-of-00002.swp", "val/README"):
        (data / name).write_text("notes")
    os.utime(data / "labels.txt", (WRITTEN + 9, WRITTEN + 9))  # its contents count, not its age
    os.utime(data / "manifest.json", (WRITTEN + 9, WRITTEN + 9))
    assert folder_fingerprint(str(data)) == before


def test_names_and_manifest_may_be_missing(data):
    (data / "labels.txt").unlink()
    (data / "manifest.json").unlink()
    assert folder_fingerprint(str(data))


@pytest.mark.parametrize("split", ["train", "val"])
def test_missing_split_is_told(data, split):
    shutil.rmtree(data / split)
    with pytest.raises(FileNotFoundError, match=rf"data/{split}/{split}-\*: no such shards\."):
        folder_fingerprint(str(data))


def test_folder_that_is_not_there_is_told(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere/train/.* Is it the data set's folder"):
        folder_fingerprint(str(tmp_path / "nowhere"))


def test_node_gives_it(data):
    outputs = FolderFingerprint.test_call(data=str(data))
    assert outputs == {"fingerprint": folder_fingerprint(str(data))}
