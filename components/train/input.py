"""Serialized examples → batches for `fit`: the transformed graph, then augmentation in training."""

import tensorflow as tf
import tensorflow_transform as tft

from components.train.augmentation import augment
from components.transform import transformed
from components.transform.image import denormalize
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
        if materialized:
            self._transform = None
            self._features = transform_output.transformed_feature_spec()
        else:
            self._transform = transform_output.transform_features_layer()
            self._features = {
                record.IMAGE: tf.io.FixedLenFeature([], tf.string),
                record.LABEL: tf.io.FixedLenFeature([], tf.int64),
            }

    def training(
        self,
        examples: tf.data.Dataset,
        batch_size: int,
        seed: int,
        flip: bool,
        shift: int,
        first_step: int = 0,
    ) -> tf.data.Dataset:
        """Full batches, each augmented by its number, from `first_step` on, and the seed."""
        batches = self._batches(examples, batch_size, drop_remainder=True)
        return (
            batches.enumerate(first_step)
            .map(
                lambda step, batch: (
                    augment(batch[0], tf.stack([seed, step]), flip, shift),
                    batch[1],
                ),
                tf.data.AUTOTUNE,
            )
            .prefetch(tf.data.AUTOTUNE)
        )

    def validation(self, examples: tf.data.Dataset, batch_size: int) -> tf.data.Dataset:
        """All examples, in order; the last batch may be smaller."""
        return self._batches(examples, batch_size).prefetch(tf.data.AUTOTUNE)

    def images(self, examples: tf.data.Dataset, count: int) -> list[bytes]:
        """The first `count` images as files, fewer where there are no more.

        Of materialized examples only pixels are left: those are given, as PNG.
        """
        [batch] = examples.batch(count).map(self._parse).take(1)
        if self._transform:
            return batch[record.IMAGE].numpy().tolist()
        moments = (
            batch[name][:, tf.newaxis, tf.newaxis]
            for name in (transformed.PIXEL_MEAN, transformed.PIXEL_STDDEV)
        )
        pixels = tf.cast(tf.round(denormalize(batch[transformed.PIXELS], *moments)), tf.uint8)
        return [tf.io.encode_png(image).numpy() for image in pixels]

    def _batches(
        self, examples: tf.data.Dataset, batch_size: int, drop_remainder: bool = False
    ) -> tf.data.Dataset:
        return examples.batch(batch_size, drop_remainder).map(self._to_batch, tf.data.AUTOTUNE)

    def _parse(self, serialized: tf.Tensor) -> dict[str, tf.Tensor]:
        return tf.io.parse_example(serialized, self._features)

    @tf.autograph.experimental.do_not_convert  # has nothing to convert, and takes 4 s to find out
    def _to_batch(self, serialized: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        features = self._parse(serialized)
        if self._transform:
            features = self._transform(features)
        return features[transformed.PIXELS], tf.one_hot(
            features[transformed.CLASS_INDEX], self._num_classes
        )
