"""scikit-learn's handwritten digits: 1,797 grey pictures of 8×8 pixels, which need no download.

They are the UCI "Optical Recognition of Handwritten Digits" test set, grey values 0 to 16.
"""

import hashlib
import io
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from components import record
from dataprep import shards

COMMAND = "python -m dataprep digits"
CLASS_NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
VALIDATION_SHARE = 0.2
SEED = 0  # of the split and of the order inside it
MAX_GREY = 16  # the source's white


def write(output: Path, train_shards: int = 4, val_shards: int = 2) -> bool:
    """Writes the digits as a data set's folder: 1,437 training and 360 validation records.

    The split is stratified by class and shuffled, and the same on every machine.

    Args:
        output: Folder to make; see `dataprep.shards.write_dataset` for what may be there.
        train_shards: Number of training shards.
        val_shards: Number of validation shards.

    Returns:
        Whether it was written: False when `output` holds this very data set, which is not touched.

    Raises:
        UsageError: `output` holds something else, or a number of shards is less than 1.
        OSError: The folder cannot be written.
    """
    # Imported here since `python -m dataprep --help` must not wait for it.
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    source = load_digits()
    images, digits = source.images, source.target  # (1797, 8, 8), (1797,)
    train, val = train_test_split(
        np.arange(len(digits)), test_size=VALIDATION_SHARE, stratify=digits, random_state=SEED
    )
    return shards.write_dataset(
        output,
        {
            record.TRAIN: shards.Split(_examples(images, digits, train), train_shards),
            record.VAL: shards.Split(_examples(images, digits, val), val_shards),
        },
        class_names=CLASS_NAMES,
        command=f"{COMMAND} --train-shards {train_shards} --val-shards {val_shards}",
        source_sha256=hashlib.sha256(images.tobytes() + digits.tobytes()).hexdigest(),
    )


def _examples(
    images: np.ndarray, digits: np.ndarray, indices: Iterable[int]
) -> Iterator[shards.Example]:
    for index in indices:
        digit = int(digits[index])
        yield shards.Example(
            encoded=_png(images[index]),
            label=record.LABEL_BASE + digit,
            synset=f"digit_{digit}",
            filename=f"digit_{index:05d}.png",
        )


def _png(image: np.ndarray) -> bytes:
    """A PNG file of `image` (height, width), whose grey values 0..16 become 0..255."""
    pixels = np.rint(image * (255 / MAX_GREY)).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()
