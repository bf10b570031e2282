"""Examples → batches for `fit`: the transformed graph, then augmentation in training."""

from collections.abc import Sequence

import tensorflow as tf
import tensorflow_transform as tft
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx import v1 as tfx
from tfx_bsl.public.tfxio import TensorFlowDatasetOptions

from components.train.augmentation import augment
from components.transform import transformed
from components.transform.image import denormalize
from dataset import record

SHUFFLE_BUFFER = 10_000  # records, still encoded; the shards are mixed already


class Input:
    """Datasets of (pixels float32 [batch, height, width, 3], one-hot float32 [batch, classes]).

    Args:
      data_accessor: TFX's reader of the examples.
      schema: Of the raw records.
      transform_output: Transform's output, whose graph is applied to them.
      num_classes: Length of the one-hot vector.
      materialized: Whether the examples have been transformed already.
    """

    def __init__(
        self,
        data_accessor: tfx.components.DataAccessor,
        schema: schema_pb2.Schema,
        transform_output: tft.TFTransformOutput,
        num_classes: int,
        materialized: bool,
    ) -> None:
        self._data_accessor = data_accessor
        self._num_classes = num_classes
        self._schema = transform_output.transformed_metadata.schema if materialized else schema
        self._transform = None if materialized else transform_output.transform_features_layer()

    def training(
        self, files: Sequence[str], batch_size: int, steps: int, seed: int, flip: bool, shift: int
    ) -> tf.data.Dataset:
        """One epoch of `steps` full batches; each iteration shuffles and augments anew."""
        options = TensorFlowDatasetOptions(
            batch_size=batch_size,
            num_epochs=1,
            shuffle=True,
            shuffle_buffer_size=SHUFFLE_BUFFER,
            shuffle_seed=seed,
            drop_final_batch=True,
        )
        seeds = tf.data.Dataset.random(seed, rerandomize_each_iteration=True).batch(2)
        return (
            tf.data.Dataset.zip(self._read(files, options), seeds)
            .map(
                lambda batch, seed: (
                    augment(batch[0], tf.bitcast(seed, tf.int64), flip, shift),
                    batch[1],
                ),
                tf.data.AUTOTUNE,
            )
            .apply(tf.data.experimental.assert_cardinality(steps))
            .prefetch(tf.data.AUTOTUNE)
        )

    def validation(self, files: Sequence[str], batch_size: int) -> tf.data.Dataset:
        """All examples once, in order; the last batch may be smaller."""
        options = TensorFlowDatasetOptions(batch_size=batch_size, num_epochs=1, shuffle=False)
        return self._read(files, options).prefetch(tf.data.AUTOTUNE)

    def images(self, files: Sequence[str], count: int) -> list[bytes]:
        """The first `count` images as files, fewer where there are no more.

        Of materialized examples only pixels are left: those are given, as PNG.
        """
        options = TensorFlowDatasetOptions(batch_size=count, num_epochs=1, shuffle=False)
        [batch] = self._data_accessor.tf_dataset_factory(files, options, self._schema).take(1)
        if self._transform:
            return batch[record.IMAGE].numpy().tolist()
        moments = (
            batch[name][:, tf.newaxis, tf.newaxis]
            for name in (transformed.PIXEL_MEAN, transformed.PIXEL_STDDEV)
        )
        pixels = tf.cast(tf.round(denormalize(batch[transformed.PIXELS], *moments)), tf.uint8)
        return [tf.io.encode_png(image).numpy() for image in pixels]

    def _read(self, files: Sequence[str], options: TensorFlowDatasetOptions) -> tf.data.Dataset:
        examples = self._data_accessor.tf_dataset_factory(files, options, self._schema)
        return examples.map(self._to_batch, tf.data.AUTOTUNE)

    @tf.autograph.experimental.do_not_convert  # has nothing to convert, and takes 4 s to find out
    def _to_batch(self, features: dict[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        if self._transform:
            features = self._transform(features)
        return features[transformed.PIXELS], tf.one_hot(
            features[transformed.CLASS_INDEX], self._num_classes
        )
