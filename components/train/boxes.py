"""Rectangles in images."""

import tensorflow as tf


def box_mask(begin: tf.Tensor, end: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    """Tells the pixels inside a box for each image.

    Args:
      begin: float32 [batch, 2], first row and column; may lie outside of the image.
      end: float32 [batch, 2], the row and column behind the last; likewise.
      size: int32 [2], height and width of the images.

    Returns:
      bool [batch, height, width, 1].
    """
    rows, columns = (
        (begin[:, axis, tf.newaxis] <= place) & (place < end[:, axis, tf.newaxis])
        for axis, place in ((axis, tf.range(size[axis], dtype=tf.float32)) for axis in (0, 1))
    )
    return (rows[:, :, tf.newaxis] & columns[:, tf.newaxis, :])[..., tf.newaxis]
