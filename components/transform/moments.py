"""The training split's pixel moments, as a transformed graph holds them."""

import numpy as np
import tensorflow as tf

from components.transform import transformed
from dataset import record


def pixel_moments(transform_layer: tf.keras.layers.Layer) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each channel, float32 [3], on the scale of 0..255.

    Args:
      transform_layer: Of Transform's output.
    """
    # They are the same for every record, so any image tells them.
    any_image = tf.io.encode_png(tf.zeros([1, 1, 3], tf.uint8))
    features = transform_layer({record.IMAGE: any_image[tf.newaxis]})
    names = transformed.PIXEL_MEAN, transformed.PIXEL_STDDEV
    mean, stddev = (features[name][0].numpy() for name in names)
    return mean, stddev
