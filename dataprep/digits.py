"""scikit-learn's handwritten digits: 1,797 grey images of 8×8 pixels, which need no download.

They are the UCI "Optical Recognition of Handwritten Digits" test set, grey values 0 to 16.
"""

import hashlib
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from dataprep.flags import check_place, check_shards
from dataprep.output import make_dataset
from dataprep.shards import ShardFacts, ShardWriter, write_manifest
from dataset import record
from dataset.example import Example

COMMAND = "python -m dataprep digits"
CLASS_NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
CLASSES = {f"digit_{digit}": name for digit, name in enumerate(CLASS_NAMES)}
VALIDATION_SHARE = 0.2
SEED = 0  # of the split and of the order inside it
MAX_GREY = 16  # the source's white


def write(output: str | Path, train_shards: int = 4, val_shards: int = 2) -> bool:
    """Writes the digits as a data set's folder: 1,437 training and 360 validation records.

    The split is stratified by class and shuffled, and the same on every machine.

    Args:
        output: Folder to make; see `dataprep.output.make_dataset` for what may be there.
        train_shards: Number of training shards.
        val_shards: Number of validation shards.

    Returns:
        Whether it was written: False when `output` holds this very data set, which is not touched.

    Raises:
        UsageError: `output` holds something else, or a flag cannot be used.
        OSError: The folder cannot be written.
    """
    # Imported here since `python -m dataprep --help` must not wait for it.
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    shards = {record.TRAIN: train_shards, record.VAL: val_shards}
    check_shards(shards)
    check_place("--output", str(output))
    source = load_digits()
    images, digits = source.images, source.target  # (1797, 8, 8), (1797,)
    train, val = train_test_split(
        np.arange(len(digits)), test_size=VALIDATION_SHARE, stratify=digits, random_state=SEED
    )
    indices = {record.TRAIN: train, record.VAL: val}
    made_by = {
        "command": f"{COMMAND} --train-shards {train_shards} --val-shards {val_shards}",
        "source_sha256": hashlib.sha256(images.tobytes() + digits.tobytes()).hexdigest(),
    }

    def fill(folder: str) -> None:
        facts: dict[str, ShardFacts] = {}
        for split, number in shards.items():
            for shard in range(number):
                name = record.shard_name(split, shard, number)
                part = indices[split][shard::number]
                examples = [_example(images[index], int(digits[index]), index) for index in part]
                facts[name] = _write_shard(f"{folder}/{name}", examples)
        write_manifest(folder, made_by, CLASSES, facts, left_out={}, doubtful={})

    return make_dataset(str(output), made_by, fill)


def _write_shard(path: str, examples: Sequence[Example]) -> ShardFacts:
    with ShardWriter(path) as writer:
        for example in examples:
            writer.write(example)
    return writer.facts


def _example(image: np.ndarray, digit: int, index: int) -> Example:
    height, width = image.shape
    return Example(
        encoded=_png(image),
        label=record.LABEL_BASE + digit,
        synset=f"digit_{digit}",
        filename=f"digit_{index:05d}.png",
        format="PNG",
        height=height,
        width=width,
        colorspace="Grayscale",
    )


def _png(image: np.ndarray) -> bytes:
    """A PNG file of `image` (height, width), whose grey values 0..16 become 0..255."""
    pixels = np.rint(image * (255 / MAX_GREY)).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()
