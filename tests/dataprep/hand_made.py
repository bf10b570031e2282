"""Writes small data sets' folders byte by byte, so that anything can be wrong with them."""

import hashlib
import io
import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf
from PIL import Image

from dataset.record import shard_name
from dataset.tfrecord import count_records, frame

CONVERTED = Path(__file__).parents[2].parent / "shared" / "data" / "imagenet-tfrecords-5classes"
NAMES = ("ant", "bee", "Kätzchen")
SYNSETS = ("n1", "n2", "n3")

Shards = Sequence[Sequence[bytes]]  # records of each shard


def image(seed: int, size: tuple[int, int] = (12, 9), file_format: str = "PNG") -> bytes:
    """An image file; another seed gives another image."""
    noise = random.Random(seed).randbytes(3 * size[0] * size[1])
    buffer = io.BytesIO()
    Image.frombytes("RGB", size, noise).save(buffer, file_format)
    return buffer.getvalue()


def example(
    label: int, encoded: bytes, synset: str | None = None, filename: str | None = None
) -> bytes:
    """A record, of whose optional features it has those given."""
    proto = tf.train.Example()
    feature = proto.features.feature
    feature["image/encoded"].bytes_list.value.append(encoded)
    feature["image/class/label"].int64_list.value.append(label)
    if synset is not None:
        feature["image/class/synset"].bytes_list.value.append(synset.encode())
    if filename is not None:
        feature["image/filename"].bytes_list.value.append(filename.encode())
    return proto.SerializeToString(deterministic=True)


def examples(number: int, first: int, labels: Sequence[int] = (1, 2, 3)) -> list[bytes]:
    """Good records: labels in turn, images `first` and following."""
    turns = [labels[index % len(labels)] for index in range(number)]
    return [
        example(label, image(seed), SYNSETS[label - 1], f"{seed}.png")
        for seed, label in enumerate(turns, start=first)
    ]


def train() -> list[list[bytes]]:
    """Records of three shards, of which the last is empty."""
    return [examples(6, first=0), examples(3, first=10), []]


def val() -> list[list[bytes]]:
    """Records of one shard."""
    return [examples(3, first=20)]


def write(folder: Path, train: Shards, val: Shards, *, names: Sequence[str] | None = NAMES) -> Path:
    """Writes a folder without manifest, and without `labels.txt` where `names` is None."""
    for split, shards in (("train", train), ("val", val)):
        (folder / split).mkdir(parents=True)
        for index, records in enumerate(shards):
            content = b"".join(map(frame, records))
            (folder / shard_name(split, index, len(shards))).write_bytes(content)
    if names is not None:
        (folder / "labels.txt").write_text("".join(f"{name}\n" for name in names), "utf-8")
    return folder


def write_manifest(folder: Path) -> Path:
    """Writes the manifest of a folder that `write` wrote with labels."""
    splits = {}
    for split in ("train", "val"):
        shards = {f"{split}/{shard.name}": _facts(shard) for shard in (folder / split).iterdir()}
        records = sum(facts["records"] for facts in shards.values())
        splits[split] = {"records": records, "shards": shards}
    labels = hashlib.sha256((folder / "labels.txt").read_bytes()).hexdigest()
    manifest = {"labels_sha256": labels, "synsets": SYNSETS, "splits": splits}
    (folder / "manifest.json").write_text(json.dumps(manifest), "utf-8")
    return folder


def _facts(shard: Path) -> dict[str, Any]:
    content = shard.read_bytes()
    return {
        "records": count_records(io.BytesIO(content)),
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
