"""Bad data: what is wrong is told in one go, and nothing is pushed."""

import html
import json
import re
import shutil
import struct
import zlib
from pathlib import Path

import pytest
from commands import run

from dataprep import digits
from dataset import record
from dataset.tfrecord import CHECKSUM, HEADER_BYTES
from pipeline.nodes import REPORT


def set_bytes(example, key: str, value: bytes) -> None:
    """Sets a feature of a tf.Example that has one value."""
    example.features.feature[key].bytes_list.value[:] = [value]


def set_label(example, label: int) -> None:
    """Sets the label of a tf.Example."""
    example.features.feature[record.LABEL].int64_list.value[:] = [label]


def filename(example) -> str:
    """The name of the image in a tf.Example."""
    return example.features.feature[record.FILENAME].bytes_list.value[0].decode()


def assert_refused(ended, *words: str) -> None:
    """Asserts that a run refused its data, told `words`, and pushed nothing."""
    assert (ended.exit_code, ended.errors) == (4, "")
    assert ended.summary["verdict"] == "data_refused"
    assert "verdict    data_refused" in ended.screen
    for word in words:
        assert word in ended.summary["message"]
        assert word in ended.screen
    assert "Traceback" not in ended.screen
    assert ended.log.is_file()
    assert ended.versions() == []
    if ended.summary["report"]:  # of a folder that is no data set there is nothing to report
        assert html.escape(words[0]) in (ended.output / "report.html").read_text("utf-8")


@pytest.mark.slow
def test_folder_without_shards(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "cat.jpg").touch()
    ended = run(tmp_path, "--data", "images")
    assert_refused(
        ended, "images has no train and no val shards", "It holds: cat.jpg", "train-00000-of-0000"
    )


@pytest.mark.slow
def test_no_validation_split(tmp_path, small_dataset):
    dataset = small_dataset()
    dataset.write()
    shutil.rmtree(dataset.folder / record.VAL)
    ended = run(tmp_path, "--data", str(dataset.folder))
    assert_refused(ended, f"{dataset.folder} has no val shards", "val/val-00000-of-00001")


@pytest.mark.slow
def test_no_examples(tmp_path, small_dataset):
    dataset = small_dataset()
    dataset.train = []
    dataset.write()
    ended = run(tmp_path, "--data", str(dataset.folder))
    assert_refused(ended, f"{dataset.folder}/train: all 1 shards are empty", "at least one record")


@pytest.mark.slow
def test_one_class(tmp_path, small_dataset):
    dataset = small_dataset()
    for example in [*dataset.train, *dataset.val]:
        set_label(example, 3)
    dataset.write()
    ended = run(tmp_path, "--data", str(dataset.folder))
    assert_refused(ended, "all training records have one label", "at least two classes")


@pytest.mark.slow
def test_class_that_val_lacks(tmp_path, small_dataset):
    dataset = small_dataset()
    for example in dataset.val:
        if example.features.feature[record.LABEL].int64_list.value[0] == 4:
            set_label(example, 5)
            set_bytes(example, record.SYNSET, b"digit_4")
    dataset.write()
    ended = run(tmp_path, "--data", str(dataset.folder))
    assert_refused(ended, "val lacks 1 of 10 classes: label 4")
    assert "--data.require_all_classes False" in ended.summary["message"]


@pytest.mark.slow
def test_bit_flipped_in_a_shard(tmp_path, small_dataset):
    """A folder without a manifest: the record's own checksum tells."""
    dataset = small_dataset()
    dataset.write()
    name = record.shard_name(record.TRAIN, 0, 1)
    shard = bytearray((dataset.folder / name).read_bytes())
    shard[HEADER_BYTES + 100] ^= 1  # in the first record's data
    (dataset.folder / name).write_bytes(shard)
    ended = run(tmp_path, "--data", str(dataset.folder))
    assert_refused(ended, "shards are damaged", name, "was altered: wrong checksum")
    assert ended.summary["components"]["ImportExampleGen"]


@pytest.mark.slow
def test_shard_that_is_not_the_manifests(tmp_path):
    """Of the same size and records, and whole: only the manifest says. It is never cached."""
    folder = tmp_path / "digits"
    digits.write(folder, train_shards=2, val_shards=1)
    first, second = (folder / record.shard_name(record.TRAIN, i, 2) for i in range(2))
    sizes = {path: path.stat().st_size for path in (first, second)}
    shard = bytearray(first.read_bytes())
    length = HEADER_BYTES + int.from_bytes(shard[:8], "little") + CHECKSUM.size
    first.write_bytes(shard[length:] + shard[:length])  # its first record goes to its end
    assert {path: path.stat().st_size for path in (first, second)} == sizes
    command = ["--data", str(folder), "--preset", "digits", "--to", "AnomalyGate"]
    ended = run(tmp_path, *command)
    assert_refused(
        ended, "train/train-00000-of-00002 was altered", f"remove {record.MANIFEST_FILE}"
    )

    (folder / record.MANIFEST_FILE).unlink()
    ended = run(tmp_path, *command)
    assert (ended.exit_code, ended.summary["verdict"]) == (0, "partial")


@pytest.mark.slow
def test_splits_of_different_kinds(tmp_path, small_dataset):
    dataset = small_dataset()
    for example in dataset.val:
        set_bytes(example, record.FORMAT, b"JPEG")
    dataset.write()
    command = ["--data", str(dataset.folder), "--data.max_skew", "0.5", "--to", "AnomalyGate"]
    ended = run(tmp_path, *command)
    assert_refused(ended, "anomalies in the data", "val_train: `image/format`", "Jensen-Shannon")

    ended = run(tmp_path, *command, "--data.refuse_anomalies", "False")
    assert (ended.exit_code, ended.summary["verdict"]) == (0, "partial")
    assert "`image/format`" in ended.screen


@pytest.fixture(scope="module")
def spoilt(small_dataset):
    """Records that are bad in several ways."""
    dataset = small_dataset()
    set_label(dataset.train[0], -1)
    set_label(dataset.val[1], 11)
    set_bytes(dataset.train[2], record.IMAGE, b"\x89PNG\r\n\x1a\n cut short")
    set_bytes(dataset.val[3], record.IMAGE, b"")
    del dataset.train[4].features.feature[record.LABEL]
    set_bytes(dataset.train[5], record.IMAGE, bomb())
    dataset.write()
    return dataset


def bomb() -> bytes:
    """An image of 30,000×30,000 black pixels: 112 KB, and 900 MB once decoded."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        checksum = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)

    header = struct.pack(">IIBBBBB", 30_000, 30_000, 1, 0, 0, 0, 0)  # one bit a pixel, grey
    lines = zlib.compress(bytes(1 + 30_000 // 8) * 30_000, 9)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", lines) + chunk(b"IEND", b"")
    )


@pytest.fixture(scope="module")
def on_spoilt(spoilt, tmp_path_factory):
    return run(tmp_path_factory.mktemp("run"), "--data", str(spoilt.folder))


@pytest.mark.slow
def test_bad_records_beyond_the_budget(on_spoilt):
    assert on_spoilt.summary["report"]
    assert_refused(on_spoilt, "6 bad records", "budget of 0.100%", "6 of 80 records")
    assert set(on_spoilt.summary["components"]) <= {
        "CuratedSchema",
        "ImportExampleGen",
        REPORT,
    }
    assert on_spoilt.summary["examples"] == {
        "train": {"read": 40, "quarantined": 4},
        "val": {"read": 40, "quarantined": 2},
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    ("split", "index", "reason", "detail"),
    [
        ("train", 0, "label out of range", "label -1 is not in 1..10"),
        ("val", 1, "label out of range", "label 11 is not in 1..10"),
        ("train", 2, "image does not decode", ""),
        ("val", 3, "no image", "`image/encoded` is empty"),
        ("train", 4, "no label", "no `image/class/label`: it holds `image/"),
        ("train", 5, "image too large", ""),
    ],
)
def test_bad_record_is_named_and_set_aside(on_spoilt, spoilt, split, index, reason, detail):
    name = filename(getattr(spoilt, split)[index])
    shard = record.shard_name(split, 0, 1)
    assert_refused(on_spoilt, f"{shard}, record {index}: {name}: {detail}", reason)
    [quarantine] = re.findall(r"listed in (.*)", on_spoilt.summary["message"])
    lines = [json.loads(line) for line in Path(quarantine).read_text("utf-8").splitlines()]
    [line] = [line for line in lines if line["name"] == name]
    assert (line["shard"], line["index"], line["reason"]) == (shard, index, reason)


@pytest.mark.slow
def test_bad_records_within_the_budget_are_left_out(tmp_path, spoilt):
    ended = run(
        *(tmp_path, "--data", str(spoilt.folder), "--to", "AnomalyGate"),
        *("--data.max_bad_share", "0.9", "--data.max_skew", "1"),
    )
    assert (ended.exit_code, ended.errors) == (0, "")
    assert ended.summary["examples"]["train"] == {"read": 40, "quarantined": 4}
    assert "6 bad records were set aside; they are listed in " in ended.screen
