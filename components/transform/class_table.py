"""The training split's classes: written by Transform in its pass, read by the Trainer."""

import dataclasses
from collections.abc import Sequence

import tensorflow as tf
import tensorflow_transform as tft

from dataset import record

CLASS_TABLE = "class_table"  # the vocabulary file: one line for each class of the training split


def record_class_table(label: tf.Tensor, synset: tf.SparseTensor) -> None:
    """Has TFT write the training split's classes: a line `count label<TAB>synset` for each.

    From it the Trainer has the example count, the number of classes and, where the data set has no
    `labels.txt`, the class names, all in one pass that any Beam runner carries.
    """
    synset = tft.sparse_tensor_to_dense_with_shape(synset, [None, 1], default_value="")
    key = tf.strings.join([tf.strings.as_string(label), synset[:, 0]], separator="\t")
    tft.vocabulary(key, vocab_filename=CLASS_TABLE, store_frequency=True)


@dataclasses.dataclass(frozen=True)
class ClassTable:
    """The training split's classes.

    Attributes:
      names: Class names in label order; `names[0]` is label `LABEL_BASE`.
      counts: Number of training examples of each.
    """

    names: tuple[str, ...]
    counts: tuple[int, ...]

    @property
    def examples(self) -> int:
        """Number of training examples."""
        return sum(self.counts)


def read_class_table(
    transform_output: tft.TFTransformOutput, class_names: Sequence[str] = ()
) -> ClassTable:
    """Reads what `record_class_table` had TFT write.

    Args:
      transform_output: Transform's output.
      class_names: The data set's own names, in label order. Without them a class is named by its
        synset, or by its label where the records have no synset.

    Raises:
      ValueError: A label has two synsets, or lies beyond `class_names`.
    """
    path = transform_output.vocabulary_file_by_name(CLASS_TABLE)
    synsets: dict[int, str] = {}
    counts: dict[int, int] = {}
    for line in tf.io.gfile.GFile(path).read().splitlines():
        count, key = line.split(" ", 1)
        label, synset = key.split("\t", 1)
        known = synsets.get(int(label), "")
        if known and synset and known != synset:
            raise ValueError(
                f"label {label} stands for two classes, {known!r} and {synset!r}; "
                f"every record with a label must have the same `{record.SYNSET}`"
            )
        synsets[int(label)] = known or synset  # records may lack theirs
        counts[int(label)] = counts.get(int(label), 0) + int(count)
    labels = range(record.LABEL_BASE, max(synsets) + 1)
    if class_names and len(class_names) < len(labels):
        raise ValueError(
            f"label {max(synsets)} is in the training split, but only {len(class_names)} class "
            "names were given"
        )
    names = tuple(class_names) or tuple(synsets.get(n) or str(n) for n in labels)
    return ClassTable(
        names, tuple(counts.get(n, 0) for n, _ in enumerate(names, record.LABEL_BASE))
    )
