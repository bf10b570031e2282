"""Random changes to training images: which, and in which order."""

import dataclasses

import tensorflow as tf

from components.train.boxes import box_mask
from components.train.mixing import mix
from components.train.trivial_augment import trivial_augment
from components.transform.image import denormalize, normalize

# A rectangle to erase: share of the image's area, and ratio of its sides (Zhong et al., 2020).
ERASED_AREA = 0.02, 0.33
ERASED_RATIO = 0.3, 1 / 0.3


@dataclasses.dataclass(frozen=True)
class Augmentation:
    """What is changed; the fields of the config's `augment`, and when.

    Each step's changes depend on `seed` and its number alone.

    Attributes:
      flip: Mirror half of the images left to right.
      shift: Greatest move in each direction, pixels, less than the image's sides.
      min_area: Least share of an image's area that a random part has, which is then resized.
      trivial: Whether to apply TrivialAugment.
      erase: Share of the images in which a rectangle is erased.
      mixup: Of Beta(mixup, mixup); 0: never.
      cutmix: Of Beta(cutmix, cutmix); 0: never.
      seed: Of all that is random.
      mixed_steps: `mixup` and `cutmix` end before the step with this number.
    """

    flip: bool
    shift: int
    min_area: float
    trivial: bool
    erase: float
    mixup: float
    cutmix: float
    seed: int
    mixed_steps: int

    def step_seed(self, step: tf.Tensor) -> tf.Tensor:
        """The seed of a step, int64 [2]."""
        return tf.stack([tf.constant(self.seed, tf.int64), step])

    def change(
        self, pixels: tf.Tensor, step: tf.Tensor, mean: tf.Tensor, stddev: tf.Tensor
    ) -> tf.Tensor:
        """Changes each image by itself.

        Args:
          pixels: float32 [batch, height, width, 3], normalised.
          step: int64 [], counted from 0 over the whole training.
          mean: float32 [3], of the normalisation.
          stddev: Likewise.

        Returns:
          As `pixels`.
        """
        seed = self.step_seed(step)
        if self.trivial:
            grey_levels = trivial_augment(denormalize(pixels, mean, stddev), seed + 2)
            pixels = normalize(grey_levels, mean, stddev)
        if self.flip or self.shift:
            pixels = flip_and_shift(pixels, seed, self.flip, self.shift)
        if self.erase:
            pixels = erase(pixels, seed + 4, self.erase)
        return pixels

    def mix(
        self, pixels: tf.Tensor, labels: tf.Tensor, step: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Mixes the images of a batch, and their labels, float32 [batch, classes]."""
        if not (self.mixup or self.cutmix):
            return pixels, labels
        seed = self.step_seed(step) + 6
        return tf.cond(
            step < self.mixed_steps,
            lambda: mix(pixels, labels, seed, self.mixup, self.cutmix),
            lambda: (pixels, labels),
        )


def flip_and_shift(pixels: tf.Tensor, seed: tf.Tensor, flip: bool, shift: int) -> tf.Tensor:
    """Mirrors half of the images left to right and moves each by up to `shift` pixels.

    Args:
      pixels: float32 [batch, height, width, 3].
      seed: int32 or int64 [2]; the same seed gives the same images.
      flip: Whether to mirror.
      shift: Greatest move in each direction, pixels, less than the image's sides; where a border
        opens, the image is reflected.

    Returns:
      As `pixels`.
    """
    count = tf.shape(pixels)[0]
    mirrored = tf.random.stateless_uniform([count], seed) < (0.5 if flip else 0.0)
    offsets = tf.random.stateless_uniform([count, 2], seed + 1, 0, 2 * shift + 1, tf.int32)

    def change(image: tuple[tf.Tensor, tf.Tensor, tf.Tensor]) -> tf.Tensor:
        values, is_mirrored, offset = image
        moved = _crop_of_reflected(values, offset, shift)
        return tf.cond(is_mirrored, lambda: tf.reverse(moved, axis=[1]), lambda: moved)

    # Image by image: twice as fast as gathering over the batch, whose runs are of three values.
    return tf.map_fn(
        change,
        (pixels, mirrored, offsets),
        fn_output_signature=tf.TensorSpec(pixels.shape[1:], pixels.dtype),
    )


def erase(pixels: tf.Tensor, seed: tf.Tensor, share: float) -> tf.Tensor:
    """Sets a random rectangle to 0, the mean colour of normalised images (Zhong et al., 2020).

    Args:
      pixels: float32 [batch, height, width, 3].
      seed: int32 or int64 [2]; the same seed gives the same images.
      share: Of the images that lose one.

    Returns:
      As `pixels`.
    """
    count = tf.shape(pixels)[0]
    size = tf.cast(tf.shape(pixels)[1:3], tf.float32)
    drawn = tf.random.stateless_uniform([count, 5], seed)
    low, high = ERASED_AREA
    area = (low + (high - low) * drawn[:, 0]) * tf.reduce_prod(size)
    narrowest, widest = (tf.math.log(ratio) for ratio in ERASED_RATIO)
    ratio = tf.exp(narrowest + (widest - narrowest) * drawn[:, 1])
    sides = tf.minimum(tf.sqrt(tf.stack([area * ratio, area / ratio], axis=1)), size)
    tops = tf.round(drawn[:, 2:4] * (size - sides))
    inside = box_mask(tops, tops + tf.round(sides), tf.shape(pixels)[1:3])
    is_erased = (drawn[:, 4] < share)[:, tf.newaxis, tf.newaxis, tf.newaxis]
    return tf.where(inside & is_erased, 0.0, pixels)


def _crop_of_reflected(image: tf.Tensor, offset: tf.Tensor, border: int) -> tf.Tensor:
    """The part at `offset`, int32 [2], of `image` [height, width, 3] with borders; of its size."""
    padded = tf.pad(image, [[border, border], [border, border], [0, 0]], "REFLECT")
    return tf.slice(padded, [offset[0], offset[1], 0], image.shape)
