"""The files of examples, however the records lie in shards: the same ones, and mixed."""

from collections import Counter

import numpy as np
import pytest
import tensorflow as tf

from dataset.record_check import Rules

pytestmark = pytest.mark.slow  # they run Beam


@pytest.fixture(scope="module")
def large(example, encode):
    """3 MB of records in the order of their three classes, and 0.1 MB for `val`."""
    noise = np.random.default_rng(1).integers(0, 256, (93, 105, 105, 3), np.uint8)
    records = [example(encode(array), 1 + n // 31) for n, array in enumerate(noise)]
    return {"train": records[:90], "val": records[90:]}


def test_files_are_the_same_however_the_records_lie_in_shards(
    run, large, write_shards, tmp_path_factory
):
    """Else the same data and seed would not train the same model, nor sorted ones as well."""
    sorted_by_class, mixed = (tmp_path_factory.mktemp(name) for name in ("sorted", "mixed"))
    for split, records in large.items():
        write_shards(sorted_by_class, split, [records[n : n + 12] for n in range(0, 96, 12)])
        write_shards(mixed, split, [records[n::3] for n in reversed(range(3))])
    first, second = (run(data, Rules(), file_mb=1) for data in (sorted_by_class, mixed))
    assert first.files == second.files
    names = [f"Split-train/data_tfrecord-{n:05d}-of-00003.gz" for n in range(3)]
    assert list(first.files) == [*names, "Split-val/data_tfrecord-00000-of-00001.gz"]
    assert all(len(content) < 1.5e6 for content in first.files.values())
    for split, records in large.items():
        assert first.records(split) == Counter(records)


def test_data_sorted_by_class_are_mixed(run, example, encode, write_shards, tmp_path):
    """Batches have the classes that random ones would have."""
    classes, of_class, batch = 20, 96, 128
    image = encode(np.zeros((8, 8, 3), np.uint8))
    records = [
        example(image, 1 + n // of_class, filename=b"%d" % n) for n in range(classes * of_class)
    ]
    shard = len(records) // 8
    write_shards(tmp_path, "train", [records[n * shard : (n + 1) * shard] for n in range(8)])
    write_shards(tmp_path, "val", [records[::of_class]])
    files = run(tmp_path, Rules()).paths("train")
    label = {"image/class/label": tf.io.FixedLenFeature([], tf.int64)}
    surprise = []
    for serialized in tf.data.TFRecordDataset(files, "GZIP").batch(batch):
        labels = tf.io.parse_example(serialized, label)["image/class/label"].numpy()
        counts = np.bincount(labels, minlength=classes + 1)[1:]
        assert (counts > 0).sum() >= classes - 3
        surprise.append(((counts - batch / classes) ** 2).sum() / (batch / classes))
    # Chi-squared of 19 degrees of freedom: mean 19, its own deviation 6; of 15 batches, 1.6.
    assert 12 < np.mean(surprise) < 26
