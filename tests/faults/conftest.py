"""Small data sets with faults, made of the embedded digits."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from dataprep import digits
from dataset import record


class SmallDataset:
    """A data set's folder with some of the digits, to be spoilt by a test.

    Attributes:
        folder: The folder; `write` makes it.
        train: Some training records, tf.Examples.
        val: Some validation records, likewise.
    """

    def __init__(self, folder: Path, train: Sequence[bytes], val: Sequence[bytes]) -> None:
        import tensorflow as tf

        self.folder = folder
        self.train = [tf.train.Example.FromString(serialized) for serialized in train]
        self.val = [tf.train.Example.FromString(serialized) for serialized in val]

    def write(self) -> None:
        """Writes a shard for each split, and `labels.txt`."""
        import tensorflow as tf

        for split, examples in ((record.TRAIN, self.train), (record.VAL, self.val)):
            shard = self.folder / record.shard_name(split, 0, 1)
            shard.parent.mkdir(parents=True)
            with tf.io.TFRecordWriter(str(shard)) as writer:
                for example in examples:
                    writer.write(example.SerializeToString())
        names = "".join(f"{name}\n" for name in digits.CLASS_NAMES)
        (self.folder / record.LABELS_FILE).write_text(names)


@pytest.fixture(scope="session")
def digit_records(tmp_path_factory) -> dict[str, list[bytes]]:
    """Forty serialized tf.Examples of each split."""
    import tensorflow as tf

    folder = tmp_path_factory.mktemp("digits") / "digits"
    digits.write(folder, train_shards=1, val_shards=1)
    return {
        split: [
            serialized.numpy()
            for serialized in tf.data.TFRecordDataset(
                str(folder / record.shard_name(split, 0, 1))
            ).take(40)
        ]
        for split in record.SPLITS
    }


@pytest.fixture(scope="session")
def small_dataset(digit_records, tmp_path_factory):
    """Makes a `SmallDataset` in a folder of its own."""

    def make() -> SmallDataset:
        return SmallDataset(tmp_path_factory.mktemp("data") / "zahlen für alle", **digit_records)

    return make
