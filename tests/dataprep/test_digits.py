import io
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from sklearn.datasets import load_digits

from dataprep import digits
from dataprep.errors import UsageError
from dataset.folder import Dataset, read_dataset


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> Dataset:
    output = tmp_path_factory.mktemp("dataprep") / "digits"
    digits.write(output)
    return read_dataset(output)


@pytest.fixture(scope="module")
def records(dataset) -> dict[str, list[dict]]:
    """Split → its records, each as feature key → value."""
    return {
        split: [
            parse(proto)
            for proto in tf.data.TFRecordDataset([str(s) for s in shards]).as_numpy_iterator()
        ]
        for split, shards in dataset.shards.items()
    }


def parse(proto: bytes) -> dict[str, bytes | int]:
    features = tf.train.Example.FromString(proto).features.feature
    return {
        key: (feature.bytes_list.value or feature.int64_list.value)[0]
        for key, feature in features.items()
    }


def files(folder: Path) -> dict[Path, bytes]:
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_numbers_of_records_shards_and_classes(dataset):
    assert dataset.records == {"train": 1437, "val": 360}
    assert {split: len(shards) for split, shards in dataset.shards.items()} == {
        "train": 4,
        "val": 2,
    }
    assert dataset.class_names[0] == "zero"
    assert dataset.class_names[9] == "nine"
    assert len(dataset.class_names) == 10


def test_every_digit_is_in_exactly_one_split(records):
    names = [r["image/filename"] for split in ("train", "val") for r in records[split]]
    assert sorted(names) == [f"digit_{index:05d}.png".encode() for index in range(1797)]


def test_record_holds_the_source_image_and_its_digit(records):
    source = load_digits()
    for r in records["train"] + records["val"]:
        index = int(r["image/filename"][len("digit_") : -len(".png")])
        pixels = np.asarray(Image.open(io.BytesIO(r["image/encoded"])))
        np.testing.assert_array_equal(pixels, np.rint(source.images[index] * 255 / 16))
        assert r["image/class/label"] == source.target[index] + 1
        assert r["image/class/synset"] == f"digit_{source.target[index]}".encode()


def test_record_describes_its_image(records):
    r = records["val"][0]
    assert len(r) == 9
    assert r["image/format"] == b"PNG"
    assert r["image/colorspace"] == b"Grayscale"
    assert (r["image/height"], r["image/width"], r["image/channels"]) == (8, 8, 1)


def test_split_is_stratified(records):
    train, val = (
        np.bincount([r["image/class/label"] for r in records[split]])[1:]
        for split in ("train", "val")
    )
    np.testing.assert_allclose(val / (train + val), 0.2, atol=0.005)


def test_order_is_shuffled(records):
    labels = [r["image/class/label"] for r in records["train"]]
    assert set(labels[:100]) == set(range(1, 11))
    names = [r["image/filename"] for r in records["train"]]
    assert names != sorted(names)


def test_two_runs_give_the_same_bytes(dataset, tmp_path):
    assert digits.write(tmp_path / "again")
    assert files(tmp_path / "again") == files(dataset.path)


def test_second_run_leaves_the_files_alone(dataset):
    shards = [shard for split in dataset.shards.values() for shard in split]
    before = [shard.stat().st_mtime_ns for shard in shards]
    assert not digits.write(dataset.path)
    assert [shard.stat().st_mtime_ns for shard in shards] == before


def test_other_numbers_of_shards(dataset, tmp_path):
    digits.write(tmp_path / "digits", train_shards=1, val_shards=3)
    other = read_dataset(tmp_path / "digits")
    assert {split: len(shards) for split, shards in other.shards.items()} == {"train": 1, "val": 3}
    assert other.records == dataset.records
    with pytest.raises(UsageError, match="another source or command"):
        digits.write(dataset.path, train_shards=1, val_shards=3)
