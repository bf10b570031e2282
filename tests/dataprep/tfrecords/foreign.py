"""Writes TFRecord files as other tools do."""

import gzip
import io
import random
from collections.abc import Iterable
from pathlib import Path

import tensorflow as tf
from PIL import Image

from dataset.tfrecord import frame

BY_TFDS = Path(__file__).with_name("written_by_tfds")
SHAPES = BY_TFDS / "shapes" / "1.0.0"
TONES = BY_TFDS / "tones" / "small" / "2.1.0"


def image(seed: int, file_format: str = "PNG") -> bytes:
    """An image's file; another seed gives another image."""
    buffer = io.BytesIO()
    noise = random.Random(seed).randbytes(3 * 12 * 9)
    Image.frombytes("RGB", (12, 9), noise).save(buffer, file_format)
    return buffer.getvalue()


def example(**features) -> bytes:
    """A tf.Example; of a feature's name, `__` stands for a slash."""
    proto = tf.train.Example()
    for name, value in features.items():
        values = value if isinstance(value, list) else [value]
        feature = proto.features.feature[name.replace("__", "/")]
        if isinstance(values[0], bytes):
            feature.bytes_list.value.extend(values)
        elif isinstance(values[0], float):
            feature.float_list.value.extend(values)
        else:
            feature.int64_list.value.extend(values)
    return proto.SerializeToString(deterministic=True)


def examples(number: int, first: int = 0, label=lambda turn: turn, **others) -> list[bytes]:
    """Records of three classes in turn, with keys `image` and `label`."""
    return [
        example(image=image(seed), label=label(seed % 3), **others)
        for seed in range(first, first + number)
    ]


def write(path: Path, records: Iterable[bytes], *, packed: bool = False) -> Path:
    """Writes a TFRecord file, as a gzip file where it is to be packed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = b"".join(map(frame, records))
    path.write_bytes(gzip.compress(content) if packed else content)
    return path
