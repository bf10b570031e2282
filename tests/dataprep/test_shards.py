import hashlib
import json

import tensorflow as tf

from dataprep.shards import ShardFacts, ShardWriter, write_manifest
from dataset.example import Example, Serializer

MADE_BY = {"command": "python -m dataprep test", "source_sha256": "a1b2"}


def example(number: int) -> Example:
    synset = ("n01", "n02")[number % 2]
    return Example(b"image", 1 + number % 2, synset, f"{number}.JPEG", "JPEG", 3, 5, "RGB")


def test_tensorflow_reads_what_was_written(tmp_path):
    path = tmp_path / "train" / "train-00000-of-00001"
    with ShardWriter(str(path)) as writer:
        for number in range(5):
            writer.write(example(number))
    records = list(tf.data.TFRecordDataset(str(path)).as_numpy_iterator())
    assert records == [Serializer().serialize(example(number)) for number in range(5)]


def test_facts_are_those_of_the_file(tmp_path):
    path = tmp_path / "shard"
    with ShardWriter(str(path)) as writer:
        for number in range(5):
            writer.write(example(number))
    data = path.read_bytes()
    assert writer.facts == ShardFacts(
        5, len(data), hashlib.sha256(data).hexdigest(), {"n01": 3, "n02": 2}
    )


def test_shard_without_records(tmp_path):
    with ShardWriter(str(tmp_path / "shard")) as writer:
        pass
    assert (tmp_path / "shard").read_bytes() == b""
    assert writer.facts == ShardFacts(0, 0, hashlib.sha256().hexdigest(), {})


def test_manifest(tmp_path):
    shards = {
        "train/train-00000-of-00002": ShardFacts(3, 30, "aa", {"n01": 2, "n02": 1}),
        "train/train-00001-of-00002": ShardFacts(2, 20, "bb", {"n01": 2}),
        "val/val-00000-of-00001": ShardFacts(1, 10, "cc", {"n02": 1}),
    }
    names = {"n01": "Kätzchen", "n02": "dog"}
    write_manifest(
        str(tmp_path), MADE_BY, names, shards, {"a/b.jpg": "empty file"}, {"c.jpg": "doubt"}
    )
    labels = (tmp_path / "labels.txt").read_bytes()
    assert labels.decode() == "Kätzchen\ndog\n"
    manifest = json.loads((tmp_path / "manifest.json").read_text("utf-8"))
    assert manifest.pop("tool").startswith("fishnet-tfx ")
    assert manifest == {
        "made_by": MADE_BY,
        "labels_sha256": hashlib.sha256(labels).hexdigest(),
        "synsets": ["n01", "n02"],
        "splits": {
            "train": {
                "records": 5,
                "classes": {"n01": 4, "n02": 1},
                "shards": {
                    "train/train-00000-of-00002": {"records": 3, "bytes": 30, "sha256": "aa"},
                    "train/train-00001-of-00002": {"records": 2, "bytes": 20, "sha256": "bb"},
                },
            },
            "val": {
                "records": 1,
                "classes": {"n01": 0, "n02": 1},
                "shards": {"val/val-00000-of-00001": {"records": 1, "bytes": 10, "sha256": "cc"}},
            },
        },
        "left_out": [{"file": "a/b.jpg", "reason": "empty file"}],
        "doubtful": [{"file": "c.jpg", "reason": "doubt"}],
    }
