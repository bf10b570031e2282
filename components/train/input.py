"""Serialized examples → batches for `fit`: the transformed graph, then augmentation in training."""

from collections.abc import Sequence

import tensorflow as tf
import tensorflow_transform as tft

from components.train.augmentation import Augmentation
from components.train.random_crop import random_crops
from components.transform import transformed
from components.transform.image import denormalize, normalize
from components.transform.moments import pixel_moments
from dataset import record


class Input:
    """Datasets of (pixels float32 [batch, height, width, 3], one-hot float32 [batch, classes]).

    They are made of datasets of serialized examples, string [].

    Args:
      transform_output: Transform's output, whose graph is applied to the examples.
      num_classes: Length of the one-hot vector.
      materialized: Whether the examples have been transformed already.
    """

    def __init__(
        self, transform_output: tft.TFTransformOutput, num_classes: int, materialized: bool
    ) -> None:
        self._num_classes = num_classes
        self._size = transform_output.transformed_feature_spec()[transformed.PIXELS].shape[:2]
        transform = transform_output.transform_features_layer()
        self._moments = pixel_moments(transform)
        if materialized:
            self._transform = None
            self._features = transform_output.transformed_feature_spec()
        else:
            self._transform = transform
            self._features = {
                record.IMAGE: tf.io.FixedLenFeature([], tf.string),
                record.LABEL: tf.io.FixedLenFeature([], tf.int64),
            }

    def training(
        self,
        examples: tf.data.Dataset,
        batch_size: int,
        augmentation: Augmentation,
        first_step: int = 0,
        class_weights: Sequence[float] | None = None,
    ) -> tf.data.Dataset:
        """Full batches, each augmented by its number, from `first_step` on.

        Args:
          examples: Serialized.
          batch_size: Images.
          augmentation: How they are changed.
          first_step: Number of the first batch.
          class_weights: In label order. With them a third element of the batches is the examples'
            weights, float32 [batch].
        """

        def augmented(step: tf.Tensor, serialized: tf.Tensor) -> tuple[tf.Tensor, ...]:
            if augmentation.min_area < 1:
                pixels, labels = self._random_crops(serialized, step, augmentation)
            else:
                pixels, labels = self._to_batch(serialized)
            pixels = augmentation.change(pixels, step, *self._moments)
            pixels, labels = augmentation.mix(pixels, labels, step)
            if class_weights is None:
                return pixels, labels
            return pixels, labels, tf.linalg.matvec(labels, class_weights)

        return (
            examples.batch(batch_size, drop_remainder=True)
            .enumerate(first_step)
            .map(_as_it_is(augmented), tf.data.AUTOTUNE)
            .prefetch(tf.data.AUTOTUNE)
        )

    def validation(self, examples: tf.data.Dataset, batch_size: int) -> tf.data.Dataset:
        """All examples, in order; the last batch may be smaller."""
        batches = examples.batch(batch_size).map(_as_it_is(self._to_batch), tf.data.AUTOTUNE)
        return batches.prefetch(tf.data.AUTOTUNE)

    def images(self, examples: tf.data.Dataset, count: int) -> list[bytes]:
        """The first `count` images as files, fewer where there are no more.

        Of materialized examples only pixels are left: those are given, as PNG.
        """
        [batch] = examples.batch(count).map(self._parse).take(1)
        if self._transform:
            return batch[record.IMAGE].numpy().tolist()
        grey_levels = denormalize(batch[transformed.PIXELS], *self._moments)
        pixels = tf.cast(tf.round(grey_levels), tf.uint8)
        return [tf.io.encode_png(image).numpy() for image in pixels]

    def _parse(self, serialized: tf.Tensor) -> dict[str, tf.Tensor]:
        return tf.io.parse_example(serialized, self._features)

    def _to_batch(self, serialized: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        features = self._parse(serialized)
        if self._transform:
            features = self._transform(features)
        return features[transformed.PIXELS], self._one_hot(features[transformed.CLASS_INDEX])

    def _random_crops(
        self, serialized: tf.Tensor, step: tf.Tensor, augmentation: Augmentation
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """As `_to_batch`, of a random part of each image."""
        features = self._parse(serialized)
        seed = augmentation.step_seed(step) + 8
        pixels = random_crops(features[record.IMAGE], seed, augmentation.min_area, *self._size)
        labels = features[record.LABEL] - record.LABEL_BASE
        return normalize(pixels, *self._moments), self._one_hot(labels)

    def _one_hot(self, class_index: tf.Tensor) -> tf.Tensor:
        return tf.one_hot(class_index, self._num_classes)


# Nothing here is to be converted, which AutoGraph takes 4 s to find out.
_as_it_is = tf.autograph.experimental.do_not_convert
