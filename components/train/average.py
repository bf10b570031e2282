"""The moving average of a network's weights over the steps of a training."""

from typing import Any

import keras
import tensorflow as tf


class MovingAverage(keras.callbacks.Callback):
    """Averages weights and batch normalisation's moments; `fit` validates the averages.

    Keras's own average, `ema_momentum` of its optimizers, has no moments: those of the last weights
    do not fit averaged ones.

    Args:
      model: Compiled; made in the same strategy's scope.
      decay: A step, at most: early steps have (1 + step) / (10 + step), so that the initial weights
        are soon forgotten, as in `tf.train.ExponentialMovingAverage`.

    Attributes:
      variables: The averages, in the order of `model.weights`.
    """

    def __init__(self, model: keras.Model, decay: float) -> None:
        super().__init__()
        self._weights = model.weights
        self._step = model.optimizer.iterations
        self._decay = decay
        self.variables = [
            keras.Variable(weight, trainable=False, name=f"average_{weight.name}")
            for weight in self._weights
        ]

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Keras hook."""
        self._update()

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Keras hook."""
        self._swap()

    def on_test_end(self, logs: dict[str, Any] | None = None) -> None:
        """Keras hook."""
        self._swap()

    def take(self) -> None:
        """Gives the model the averages for good."""
        for weight, average in zip(self._weights, self.variables, strict=True):
            weight.assign(average)

    @tf.function(autograph=False)
    def _update(self) -> None:
        step = tf.cast(self._step.value, tf.float32)
        share = 1.0 - tf.minimum(self._decay, (1.0 + step) / (10.0 + step))
        for weight, average in zip(self._weights, self.variables, strict=True):
            average.assign(average + share * (weight - average))

    def _swap(self) -> None:
        for weight, average in zip(self._weights, self.variables, strict=True):
            value = weight.numpy()
            weight.assign(average)
            average.assign(value)
