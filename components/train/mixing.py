"""Images mixed in pairs, with their labels: mixup and CutMix.

Zhang et al., "mixup: Beyond Empirical Risk Minimization" (2018); Yun et al., "CutMix" (2019). The
share is drawn for each image, its partner is the one before it in the batch, which is in random
order.
"""

import tensorflow as tf

from components.train.boxes import box_mask


def mix(
    pixels: tf.Tensor, labels: tf.Tensor, seed: tf.Tensor, mixup: float, cutmix: float
) -> tuple[tf.Tensor, tf.Tensor]:
    """Mixes each image with another one of the batch.

    Args:
      pixels: float32 [batch, height, width, 3].
      labels: float32 [batch, classes], each of sum 1.
      seed: int32 or int64 [2]; the same seed gives the same images.
      mixup: Of Beta(mixup, mixup), of which the share of the image itself is drawn; 0: no mixup.
      cutmix: Likewise, of the area that stays. With both, each image has one or the other.

    Returns:
      As `pixels` and `labels`.
    """
    count = tf.shape(pixels)[0]
    partners = tf.roll(pixels, shift=1, axis=0)
    own = tf.ones([count, *pixels.shape[1:3], 1])  # share of each pixel
    if mixup:
        share = _beta(count, seed, mixup)
        own *= tf.reshape(share, [-1, 1, 1, 1])
    if cutmix:
        kept = _kept_pixels(pixels, seed + 2, cutmix)
        if mixup:
            is_cut = tf.random.stateless_uniform([count, 1, 1, 1], seed + 4) < 0.5
            own = tf.where(is_cut, kept, own)
        else:
            own = kept
    share = tf.reduce_mean(own, axis=[1, 2])  # [batch, 1]
    return (
        own * pixels + (1 - own) * partners,
        share * labels + (1 - share) * tf.roll(labels, shift=1, axis=0),
    )


def _kept_pixels(pixels: tf.Tensor, seed: tf.Tensor, alpha: float) -> tf.Tensor:
    """1 where an image stays, 0 in a box that the partner fills: float32 [batch, h, w, 1]."""
    count = tf.shape(pixels)[0]
    size = tf.cast(tf.shape(pixels)[1:3], tf.float32)
    cut = tf.sqrt(1 - _beta(count, seed, alpha))[:, tf.newaxis]  # of each side
    centre = tf.random.stateless_uniform([count, 2], seed + 1) * size
    begin, end = centre - cut * size / 2, centre + cut * size / 2  # beyond the border it is cut off
    return 1 - tf.cast(box_mask(tf.round(begin), tf.round(end), tf.shape(pixels)[1:3]), tf.float32)


def _beta(count: tf.Tensor, seed: tf.Tensor, alpha: float) -> tf.Tensor:
    """Draws of Beta(alpha, alpha), float32 [count]."""
    first, second = tf.unstack(tf.random.stateless_gamma([2, count], seed, alpha))
    return tf.math.divide_no_nan(first, first + second)
