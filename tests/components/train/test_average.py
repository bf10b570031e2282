import keras
import numpy as np
import pytest

from components.train.average import MovingAverage

DATA = np.random.default_rng(0).normal(size=(24, 3)).astype(np.float32)


class Watch(keras.callbacks.Callback):
    """Keeps the weights after each step and those that are validated."""

    def __init__(self) -> None:
        super().__init__()
        self.steps, self.validated, self.after = [], [], []

    def on_train_batch_end(self, batch, logs=None) -> None:
        self.steps.append(self.model.get_weights())

    def on_test_batch_end(self, batch, logs=None) -> None:
        if batch == 0:
            self.validated.append(self.model.get_weights())

    def on_epoch_end(self, epoch, logs=None) -> None:
        self.after.append(self.model.get_weights())


def fitted(decay: float, epochs: int = 3) -> tuple[keras.Model, MovingAverage, Watch, list]:
    keras.utils.set_random_seed(2)
    layers = [keras.Input((3,)), keras.layers.BatchNormalization(), keras.layers.Dense(1)]
    model = keras.Sequential(layers)
    model.compile(keras.optimizers.SGD(0.3), "mse")
    model.optimizer.build(model.trainable_variables)
    first = model.get_weights()
    average, watch = MovingAverage(model, decay), Watch()
    model.fit(
        DATA,
        DATA.sum(axis=1),
        batch_size=8,
        epochs=epochs,
        validation_data=(DATA, DATA.sum(axis=1)),
        verbose=0,
        callbacks=[average, watch],
    )
    return model, average, watch, first


def averages(first: list, steps: list, decay: float) -> list[list[np.ndarray]]:
    """By the definition, after each step."""
    found, average = [], first
    for number, weights in enumerate(steps, 1):
        share = 1 - min(decay, (1 + number) / (10 + number))
        average = [a + share * (w - a) for a, w in zip(average, weights, strict=True)]
        found.append(average)
    return found


def assert_close(found, wanted) -> None:
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("decay", [0.5, 0.999])
def test_validation_sees_averages_of_weights_and_moments_and_training_goes_on_without(decay):
    model, _, watch, first = fitted(decay)
    wanted = averages(first, watch.steps, decay)
    for epoch in range(3):
        assert_close(watch.validated[epoch], wanted[3 * epoch + 2])
        assert_close(watch.after[epoch], watch.steps[3 * epoch + 2])
    moments = model.layers[0].non_trainable_weights
    assert len(moments) == 2
    assert not np.allclose(watch.validated[-1][2], watch.after[-1][2])  # they are averaged too


def test_averages_are_taken_for_good_at_the_end():
    model, average, watch, first = fitted(0.9)
    average.take()
    assert_close(model.get_weights(), averages(first, watch.steps, 0.9)[-1])
