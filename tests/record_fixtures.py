"""Fixtures that make images, records, shards and manifests, by TensorFlow and Pillow alone."""

import hashlib
import io
import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from dataset import record, tfrecord


@pytest.fixture(scope="session")
def encode():
    """Function: uint8 (height, width, 3) or (height, width) → an image file's bytes."""

    def encode(array: np.ndarray, file_format: str = "PNG", mode: str = "") -> bytes:
        buffer = io.BytesIO()
        image = Image.fromarray(array)
        (image.convert(mode) if mode else image).save(buffer, file_format)
        return buffer.getvalue()

    return encode


@pytest.fixture(scope="session")
def example():
    """Function: the features of one record → a serialized tf.Example.

    None for a feature that it lacks, a list for one that has not just one value; `others` are named
    without their "image/".
    """

    def example(image, label, **others) -> bytes:
        features = {
            record.IMAGE: image,
            record.LABEL: label,
            **{f"image/{name}": value for name, value in others.items()},
        }
        proto = tf.train.Example()
        for name, value in features.items():
            if value is None:
                continue
            values = value if isinstance(value, list) else [value]
            feature = proto.features.feature[name]
            if not values:
                continue
            kind = {bytes: "bytes_list", int: "int64_list", float: "float_list"}[type(values[0])]
            getattr(feature, kind).value.extend(values)
        return proto.SerializeToString()

    return example


@pytest.fixture(scope="session")
def write_shards():
    """Function: writes each of the lists of records as a shard of a split, by TensorFlow."""

    def write_shards(folder: Path, split: str, shards: list[list[bytes]]) -> list[Path]:
        paths = [
            folder / record.shard_name(split, index, len(shards)) for index in range(len(shards))
        ]
        for path, records in zip(paths, shards, strict=True):
            path.parent.mkdir(parents=True, exist_ok=True)
            with tf.io.TFRecordWriter(str(path)) as writer:
                for serialized in records:
                    writer.write(serialized)
        return paths

    return write_shards


@pytest.fixture(scope="session")
def write_manifest():
    """Function: writes the manifest of a folder's shards as they are; returns what it tells."""

    def write_manifest(folder: Path, synsets: tuple[str, ...] = ()) -> dict:
        labels = folder / record.LABELS_FILE
        digest = hashlib.sha256(labels.read_bytes() if labels.exists() else b"").hexdigest()
        manifest = {
            "labels_sha256": digest,
            "synsets": list(synsets),
            "splits": {split: {"records": 0, "shards": {}} for split in record.SPLITS},
        }
        for split, facts in manifest["splits"].items():
            for shard in sorted((folder / split).glob(f"{split}-*")):
                content = shard.read_bytes()
                number = tfrecord.count_records(io.BytesIO(content))
                facts["records"] += number
                facts["shards"][f"{split}/{shard.name}"] = {
                    "records": number,
                    "bytes": len(content),
                    "sha256": hashlib.sha256(content).hexdigest(),
                }
        text = json.dumps(manifest, ensure_ascii=False)
        (folder / record.MANIFEST_FILE).write_text(text, "utf-8")
        return manifest

    return write_manifest
