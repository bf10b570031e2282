"""Transform: decode → resize → normalise, one graph for training, evaluation and serving."""

from typing import Any

import tensorflow as tf
import tensorflow_transform as tft

from components.transform import transformed
from components.transform.class_table import record_class_table
from components.transform.image import decode_and_resize, normalize
from dataset import record


def preprocessing_fn(
    inputs: dict[str, tf.Tensor | tf.SparseTensor], custom_config: dict[str, Any]
) -> dict[str, tf.Tensor]:
    """Turns raw features into what the network is fed.

    Args:
      inputs: Raw features by `dataset.record` key, of one batch.
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
        transformed.PIXELS: normalize(pixels, mean, stddev),
        transformed.CLASS_INDEX: inputs[record.LABEL] - record.LABEL_BASE,
        transformed.PIXEL_MEAN: tf.tile(mean[tf.newaxis], [batch, 1]),
        transformed.PIXEL_STDDEV: tf.tile(stddev[tf.newaxis], [batch, 1]),
    }
