"""The order in which training takes the examples: that of an epoch depends on the seed alone."""

import math
from collections.abc import Sequence

import tensorflow as tf

READERS = 8  # files that are read at a time; a constant, since the order depends on it
TENSOR_BYTES = 170  # that a buffered record takes beside its own; measured with 500-byte records


def read(patterns: Sequence[str]) -> tf.data.Dataset:
    """Serialized examples, each once, always in the same order.

    Args:
      patterns: Of gzipped TFRecord files.

    Raises:
      FileNotFoundError: There is no such file.
    """
    return _read(tf.constant(_find(patterns)))


def shuffled(
    patterns: Sequence[str], examples: int, seed: int, buffer: int, epochs: range
) -> tf.data.Dataset:
    """Serialized examples of some epochs, one after the other.

    The order of an epoch depends on its number and the seed, and on nothing that was before.

    Args:
      patterns: As for `read`.
      examples: How many an epoch takes; if there are less, iteration fails.
      seed: Of the order of the files, and of the examples.
      buffer: How many examples are drawn from at random.
      epochs: Their numbers, from 0.
    """
    files = tf.constant(_find(patterns))

    def epoch(number: tf.Tensor) -> tf.data.Dataset:
        chance = tf.stack([tf.constant(seed, tf.int64), number])
        # `shuffle` adds the graph's seed to its own; it fails on a 0, and must not follow Keras's.
        tf.compat.v1.set_random_seed(1)
        return (
            _read(tf.random.experimental.stateless_shuffle(files, chance))
            .shuffle(buffer, tf.random.stateless_uniform([], chance, None, None, tf.int64))
            .take(examples)
            .apply(tf.data.experimental.assert_cardinality(examples))
        )

    return tf.data.Dataset.range(epochs.start, epochs.stop).flat_map(epoch)


def buffer_size(megabytes: float, record_bytes: float) -> int:
    """How many records a shuffle buffer of some 10⁶ bytes has; one at least.

    Args:
      megabytes: What it may take.
      record_bytes: Mean size of a record.
    """
    return max(1, math.floor(megabytes * 1e6 / (record_bytes + TENSOR_BYTES)))


def _find(patterns: Sequence[str]) -> list[str]:
    files = sorted(tf.io.gfile.glob(list(patterns)))
    if not files:
        raise FileNotFoundError(f"{', '.join(patterns)}: no such examples. Was the folder deleted?")
    return files


def _read(files: tf.Tensor) -> tf.data.Dataset:
    return tf.data.Dataset.from_tensor_slices(files).interleave(
        lambda file: tf.data.TFRecordDataset(file, "GZIP"),
        cycle_length=READERS,
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=True,
    )
