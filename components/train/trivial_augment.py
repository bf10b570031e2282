"""TrivialAugment: one random change of each image (Müller and Hutter, 2021, "wide" space, table 1).

Keras's layers for this draw from generators of their own, which begin anew where a training is
taken up again; here all depends on the seed.
"""

import math
from collections.abc import Callable

import tensorflow as tf

Change = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


def trivial_augment(pixels: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Changes each image in one way, of random kind and strength.

    Args:
      pixels: float32 [batch, height, width, 3], 0..255.
      seed: int32 or int64 [2]; the same seed gives the same images.

    Returns:
      As `pixels`.
    """
    pixels = tf.clip_by_value(pixels, 0.0, 255.0)  # what was normalised before may be beyond
    count = tf.shape(pixels)[0]
    kinds = tf.random.stateless_uniform([count], seed, 0, len(CHANGES), tf.int32)
    # Sign and size: most changes are made in either direction.
    strengths = tf.random.stateless_uniform([count], seed + 1, -1.0, 1.0)

    def change(image: tuple[tf.Tensor, tf.Tensor, tf.Tensor]) -> tf.Tensor:
        values, kind, strength = image
        branches = [lambda each=each: each(values, strength) for each in CHANGES]
        changed = tf.switch_case(kind, branches)
        return tf.ensure_shape(tf.clip_by_value(changed, 0.0, 255.0), values.shape)

    return tf.map_fn(
        change,
        (pixels, kinds, strengths),
        fn_output_signature=tf.TensorSpec(pixels.shape[1:], pixels.dtype),
    )


def _identity(image: tf.Tensor, _strength: tf.Tensor) -> tf.Tensor:
    return image


def _project(image: tf.Tensor, matrix: list[list[float | tf.Tensor]]) -> tf.Tensor:
    """Takes the pixel at (x, y), from the centre, from `matrix` · (x, y, 1); reflected outside."""
    height, width = image.shape[:2]
    cx, cy = (width - 1) / 2, (height - 1) / 2
    (a, b, c), (d, e, f) = matrix
    row = [a, b, c + cx - a * cx - b * cy, d, e, f + cy - d * cx - e * cy, 0.0, 0.0]
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=image[tf.newaxis],
        transforms=tf.stack([tf.cast(value, tf.float32) for value in row])[tf.newaxis],
        output_shape=[height, width],
        interpolation="BILINEAR",
        fill_mode="REFLECT",
        fill_value=0.0,
    )[0]


def _shear_x(image: tf.Tensor, strength: tf.Tensor) -> tf.Tensor:
    return _project(image, [[1.0, 0.99 * strength, 0.0], [0.0, 1.0, 0.0]])


def _shear_y(image: tf.Tensor, strength: tf.Tensor) -> tf.Tensor:
    return _project(image, [[1.0, 0.0, 0.0], [0.99 * strength, 1.0, 0.0]])


def _translate_x(image: tf.Tensor, strength: tf.Tensor) -> tf.Tensor:
    return _project(image, [[1.0, 0.0, strength * image.shape[1] / 2], [0.0, 1.0, 0.0]])


def _translate_y(image: tf.Tensor, strength: tf.Tensor) -> tf.Tensor:
    return _project(image, [[1.0, 0.0, 0.0], [0.0, 1.0, strength * image.shape[0] / 2]])


def _rotate(image: tf.Tensor, strength: tf.Tensor) -> tf.Tensor:
    angle = strength * 0.75 * math.pi  # 135 degrees at most
    cos, sin = tf.cos(angle), tf.sin(angle)
    return _project(image, [[cos, -sin, 0.0], [sin, cos, 0.0]])


def _blend(other: tf.Tensor, image: tf.Tensor, strength: tf.Tensor) -> tf.Tensor:
    """From nearly `other` at -1 by `image` at 0 to the opposite at 1."""
    return other + (1.0 + 0.99 * strength) * (image - other)


def _brightness(image: tf.Tensor, strength: tf.Tensor) -> tf.Tensor:
    return _blend(tf.zeros_like(image), image, strength)


def _color(image: tf.Tensor, strength: tf.Tensor) -> tf.Tensor:
    return _blend(tf.image.rgb_to_grayscale(image), image, strength)


def _contrast(image: tf.Tensor, strength: tf.Tensor) -> tf.Tensor:
    return _blend(tf.reduce_mean(tf.image.rgb_to_grayscale(image)), image, strength)


def _sharpness(image: tf.Tensor, strength: tf.Tensor) -> tf.Tensor:
    weights = tf.constant([[1.0, 1.0, 1.0], [1.0, 5.0, 1.0], [1.0, 1.0, 1.0]]) / 13.0
    kernel = tf.tile(weights[:, :, tf.newaxis, tf.newaxis], [1, 1, 3, 1])
    padded = tf.pad(image, [[1, 1], [1, 1], [0, 0]], "SYMMETRIC")
    smooth = tf.nn.depthwise_conv2d(padded[tf.newaxis], kernel, [1, 1, 1, 1], "VALID")[0]
    return _blend(smooth, image, strength)


def _posterize(image: tf.Tensor, strength: tf.Tensor) -> tf.Tensor:
    """Keeps the 8 to 2 highest bits of each value."""
    step = 2.0 ** tf.round(6.0 * tf.abs(strength))
    return tf.floor(image / step) * step


def _solarize(image: tf.Tensor, strength: tf.Tensor) -> tf.Tensor:
    """Inverts the values above a threshold."""
    return tf.where(image >= 255.0 * (1.0 - tf.abs(strength)), 255.0 - image, image)


def _auto_contrast(image: tf.Tensor, _strength: tf.Tensor) -> tf.Tensor:
    """Stretches each channel to 0..255."""
    low, high = (reduce(image, axis=[0, 1]) for reduce in (tf.reduce_min, tf.reduce_max))
    return tf.where(high > low, (image - low) * 255.0 / tf.maximum(high - low, 1e-3), image)


def _equalize(image: tf.Tensor, _strength: tf.Tensor) -> tf.Tensor:
    """Makes the values of each channel occur equally often."""

    def channel(values: tf.Tensor) -> tf.Tensor:
        levels = tf.cast(tf.round(values), tf.int32)
        below = tf.cumsum(tf.math.bincount(levels, minlength=256, maxlength=256))
        first = tf.gather(below, tf.reduce_min(levels))
        spread = tf.maximum(below[-1] - first, 1)
        table = tf.cast(below - first, tf.float32) * 255.0 / tf.cast(spread, tf.float32)
        return tf.where(below[-1] > first, tf.gather(table, levels), values)

    return tf.stack([channel(values) for values in tf.unstack(image, axis=2)], axis=2)


CHANGES: tuple[Change, ...] = (
    _identity,
    _shear_x,
    _shear_y,
    _translate_x,
    _translate_y,
    _rotate,
    _brightness,
    _color,
    _contrast,
    _sharpness,
    _posterize,
    _solarize,
    _auto_contrast,
    _equalize,
)
