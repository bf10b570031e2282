"""Random changes to training images, after the image graph."""

import tensorflow as tf


def augment(pixels: tf.Tensor, seed: tf.Tensor, flip: bool, shift: int) -> tf.Tensor:
    """Mirrors half of the images left to right and moves each by up to `shift` pixels.

    Args:
      pixels: float32 [batch, height, width, 3], normalised.
      seed: int32 or int64 [2]; the same seed gives the same images.
      flip: Whether to mirror.
      shift: Greatest move in each direction, pixels; the border that opens is 0, the mean grey.

    Returns:
      As `pixels`.
    """
    if flip:
        mirrored = tf.random.stateless_uniform(tf.shape(pixels)[:1], seed) < 0.5
        pixels = tf.where(mirrored[:, None, None, None], tf.reverse(pixels, axis=[2]), pixels)
    if shift:
        pixels = _shift(pixels, seed + 1, shift)
    return pixels


def _shift(pixels: tf.Tensor, seed: tf.Tensor, shift: int) -> tf.Tensor:
    batch = tf.shape(pixels)[0]
    height, width = pixels.shape[1], pixels.shape[2]
    padded = tf.pad(pixels, [[0, 0], [shift, shift], [shift, shift], [0, 0]])
    offset = tf.random.stateless_uniform([batch, 2], seed, 0, 2 * shift + 1, dtype=tf.int32)
    rows = offset[:, :1] + tf.range(height)  # (batch, height)
    columns = offset[:, 1:] + tf.range(width)  # (batch, width)
    moved = tf.gather(padded, rows, axis=1, batch_dims=1)
    return tf.gather(moved, columns, axis=2, batch_dims=1)
