"""Transform: decode → resize → normalise, one graph for training, evaluation and serving."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import tensorflow as tf
import tensorflow_transform as tft

from components import record

CLASS_TABLE = "class_table"  # the vocabulary file: one line for each class of the training split


def preprocessing_fn(
    inputs: dict[str, tf.Tensor | tf.SparseTensor], custom_config: dict[str, Any]
) -> dict[str, tf.Tensor]:
    """Turns raw features into what the network is fed.

    Args:
      inputs: Raw features by `components.record` key, of one batch.
      custom_config: `height` and `width`, the images' size in pixels after resizing.

    Returns:
      `PIXELS`, `CLASS_INDEX`, and the training split's `PIXEL_MEAN` and `PIXEL_STDDEV`, the same
      for every record: export needs them to normalise images that come in decoded.
    """
    pixels = decode_and_resize(
        inputs[record.IMAGE], custom_config["height"], custom_config["width"]
    )  # (batch, height, width, 3)
    # float32's sums would depend on how Beam happens to batch the records, in its haste or leisure:
    # the stddev by 2e-3 of a grey level, and then every weight of the network.
    channels = tf.reshape(tf.cast(pixels, tf.float64), [-1, 3])
    mean = tf.cast(tft.mean(channels, reduce_instance_dims=False), tf.float32)
    variance = tft.var(channels, reduce_instance_dims=False)
    stddev = tf.cast(tf.sqrt(variance), tf.float32)
    record_class_table(inputs[record.LABEL], inputs[record.SYNSET])
    batch = tf.shape(pixels)[0]
    return {
        record.PIXELS: normalize(pixels, mean, stddev),
        record.CLASS_INDEX: inputs[record.LABEL] - record.LABEL_BASE,
        record.PIXEL_MEAN: tf.tile(mean[tf.newaxis], [batch, 1]),
        record.PIXEL_STDDEV: tf.tile(stddev[tf.newaxis], [batch, 1]),
    }


def decode_and_resize(encoded: tf.Tensor, height: int, width: int) -> tf.Tensor:
    """Decodes JPEG or PNG files and resizes them without distortion.

    Of an image with another aspect ratio than `height`:`width` the largest centred part with that
    ratio is taken.

    Args:
      encoded: string [batch].
      height: Pixels.
      width: Pixels.

    Returns:
      float32 [batch, height, width, 3], 0..255; grey images have three equal channels.
    """

    def decode_one(image_bytes: tf.Tensor) -> tf.Tensor:
        image = tf.io.decode_image(image_bytes, channels=3, expand_animations=False)
        image = crop_to_aspect_ratio(image, height, width)
        image = tf.image.resize(image, [height, width], antialias=True)
        return tf.ensure_shape(image, [height, width, 3])

    return tf.map_fn(
        decode_one, encoded, fn_output_signature=tf.TensorSpec([height, width, 3], tf.float32)
    )


def crop_to_aspect_ratio(image: tf.Tensor, height: int, width: int) -> tf.Tensor:
    """The largest centred part of `image` [h, w, 3] whose sides are as `height` to `width`."""
    image_height, image_width = tf.shape(image)[0], tf.shape(image)[1]
    crop_height = tf.maximum(1, tf.minimum(image_height, image_width * height // width))
    crop_width = tf.maximum(1, tf.minimum(image_width, image_height * width // height))
    top, left = (image_height - crop_height) // 2, (image_width - crop_width) // 2
    return image[top : top + crop_height, left : left + crop_width]


def normalize(pixels: tf.Tensor, mean: tf.Tensor, stddev: tf.Tensor) -> tf.Tensor:
    """Shifts and scales `pixels` [..., 3], 0..255, to mean 0 and standard deviation 1 a channel."""
    # A channel that never varies has stddev 0; the floor of one grey level keeps it finite.
    return (pixels - mean) / tf.maximum(stddev, 1.0)


def denormalize(pixels: tf.Tensor, mean: tf.Tensor, stddev: tf.Tensor) -> tf.Tensor:
    """Takes back what `normalize` did."""
    return pixels * tf.maximum(stddev, 1.0) + mean


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
      examples: Number of training examples.
      names: Class names in label order; `names[0]` is label `LABEL_BASE`.
    """

    examples: int
    names: tuple[str, ...]


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
    examples = 0
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
        examples += int(count)
    labels = range(record.LABEL_BASE, max(synsets) + 1)
    if class_names and len(class_names) < len(labels):
        raise ValueError(
            f"label {max(synsets)} is in the training split, but only {len(class_names)} class "
            "names were given"
        )
    return ClassTable(
        examples, tuple(class_names) or tuple(synsets.get(n) or str(n) for n in labels)
    )
