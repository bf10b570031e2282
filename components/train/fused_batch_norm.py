"""Batch normalisation as TensorFlow's fused operation, which Keras 3 does not use.

Keras 3 composes it of a dozen operations, each of which reads and writes the whole feature, and in
float32 even where the network computes in bfloat16; the fused operation is two, one for each
direction.
"""

from collections.abc import Sequence

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable("fishnet")
class FusedBatchNormalization(keras.layers.BatchNormalization):
    """Keras's layer on features [batch, height, width, channels], float32 or bfloat16, but faster.

    Weights, outputs and gradients are those of Keras's layer. What differs is the moving variance:
    it averages the batches' unbiased variance, as PyTorch does, Keras's layer the biased one, which
    is (n - 1) / n of it for n values of a channel in a batch.

    Of several replicas each has moving statistics of its own batches, and the first one's count, as
    in Keras and PyTorch. With `synchronized` the moments are those of the whole batch, over all
    replicas. Only Keras's own formula can do that, so it is used there, with the biased variance.
    """

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Keras hook.

        Raises:
          ValueError: The input is not [batch, height, width, channels].
        """
        if len(input_shape) != 4 or self.axis not in (-1, 3):
            raise ValueError(
                "FusedBatchNormalization normalises the last axis of [batch, height, width, "
                f"channels]. Received: input shape {tuple(input_shape)}, axis={self.axis}"
            )
        super().build(input_shape)

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Keras hook."""
        use_batch = bool(training and self.trainable)
        replicas = tf.distribute.get_strategy().num_replicas_in_sync
        if use_batch and self.synchronized and replicas > 1:
            return super().call(inputs, training=training)
        # tf.compat.v1.nn.fused_batch_norm would raise an epsilon of 1e-5 a little.
        outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=inputs,
            scale=self.gamma,
            offset=self.beta,
            mean=self.moving_mean,
            variance=self.moving_variance,
            epsilon=self.epsilon,
            exponential_avg_factor=1 - self.momentum,
            is_training=use_batch,
        )
        if use_batch:
            self.moving_mean.assign(mean)
            self.moving_variance.assign(variance)
        return outputs
