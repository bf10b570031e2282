import dataclasses

import keras
import numpy as np
import pytest

from components.train.optimizer import optimizer
from components.train.schedule import Warmup
from pipeline.training_config import TrainerConfig


def made(steps: int = 10, classifier=(), **fields: object) -> keras.optimizers.Optimizer:
    fields = {"epochs": 2, "learning_rate": 0.1, **fields}
    return optimizer(dataclasses.asdict(TrainerConfig(**fields)), steps, classifier)


@pytest.mark.parametrize("name", ["sgd", "adamw"])
@pytest.mark.parametrize(
    ("warmup_epochs", "warmup_steps"), [(0.0, 0), (1.0, 10), (0.25, 2), (99.0, 20)]
)
def test_schedule_spans_the_whole_training(name, warmup_epochs, warmup_steps):
    schedule = made(optimizer=name, warmup_epochs=warmup_epochs)._learning_rate
    assert isinstance(schedule, Warmup)
    assert (schedule.peak, schedule.warmup_steps, schedule.total_steps) == (0.1, warmup_steps, 20)


@pytest.mark.parametrize("name", ["cosine", "constant"])
def test_schedule_is_the_configs(name):
    assert made(schedule=name)._learning_rate.then == name


@pytest.fixture
def network():
    network = keras.Sequential(
        [
            keras.Input((4, 4, 3)),
            keras.layers.Conv2D(2, 3, name="conv"),
            keras.layers.BatchNormalization(name="norm"),
            keras.layers.Flatten(),
            keras.layers.Dense(3, name="classes"),
        ]
    )
    for variable in network.trainable_variables:
        variable.assign(np.ones(variable.shape))
    return network


@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_weight_decay_shrinks_kernels_and_spares_biases_and_batch_normalisation(network, name):
    chosen = made(optimizer=name, warmup_epochs=0.0)
    chosen.build(network.trainable_variables)
    chosen.apply([np.zeros(variable.shape) for variable in network.trainable_variables])
    shrunk = {
        (v.path.split("/")[-2], v.name)
        for v in network.trainable_variables
        if (v < 1).numpy().all()
    }
    assert shrunk == {("conv", "kernel"), ("classes", "kernel")}


def test_weight_decay_of_sgd_shrinks_weights_as_pytorch_does():
    """200 steps at a rate of 0.1 leave 0.908 of a weight there, and 0.990 by Keras's own count."""
    chosen = made(steps=10**6, weight_decay=5e-4, warmup_epochs=0.0)
    kernel = keras.Variable([1.0], name="kernel")
    chosen.build([kernel])
    for _ in range(200):
        chosen.apply([np.zeros(1, np.float32)])
    velocity, wanted = 0.0, 1.0
    for _ in range(200):  # torch.optim.SGD(nesterov=True)
        gradient = 5e-4 * wanted
        velocity = 0.9 * velocity + gradient
        wanted -= 0.1 * (gradient + 0.9 * velocity)
    assert wanted == pytest.approx(0.908, abs=0.002)
    assert float(kernel.numpy()[0]) == pytest.approx(wanted, abs=0.005)


def test_gradients_are_scaled_down_to_the_norm():
    chosen = made(clip_norm=1.0, warmup_epochs=0.0, weight_decay=0.0, momentum=0.0)
    weights = [keras.Variable([0.0]), keras.Variable([0.0])]
    chosen.build(weights)
    chosen.apply([np.array([30.0], np.float32), np.array([40.0], np.float32)])
    assert [float(weight.numpy()[0]) for weight in weights] == pytest.approx([-0.06, -0.08])


@pytest.mark.parametrize("fields", [{}, {"optimizer": "adamw"}, {"clip_norm": 1.0}])
def test_backbone_learns_and_decays_as_with_a_lower_learning_rate(fields):
    """And the classifier as ever."""

    def trained(backbone_rate: float, **more: object) -> list[float]:
        weights = [keras.Variable([1.0], name="kernel") for _ in "ab"]
        chosen = made(
            warmup_epochs=0.0,
            weight_decay=0.01,
            classifier=weights[1:],
            backbone_rate=backbone_rate,
            **fields,
            **more,
        )
        chosen.build(weights)
        for gradient in (0.3, -0.7, 0.2):
            chosen.apply([np.full(1, gradient, np.float32)] * 2)
        return [float(weight.numpy()[0]) for weight in weights]

    whole, slower, slow = trained(1.0), trained(0.25), trained(1.0, learning_rate=0.025)
    assert slower == pytest.approx([slow[0], whole[1]], rel=1e-6)
    assert abs(slow[0] - whole[0]) > 1e-4


def test_steps_are_those_of_keras():
    """With its own weight decay, where all weights have one learning rate."""
    chosen = made(warmup_epochs=0.0, weight_decay=0.01, optimizer="adamw")
    schedule = Warmup(0.1, 0, 20)
    kerass = keras.optimizers.AdamW(schedule, weight_decay=0.01)
    random = np.random.default_rng(1)
    ours, theirs = ([keras.Variable(np.ones(3), name="kernel")] for _ in "ab")
    chosen.build(ours)
    kerass.build(theirs)
    for gradient in random.normal(size=(5, 3)):
        chosen.apply([gradient])
        kerass.apply([gradient])
    np.testing.assert_allclose(ours[0], theirs[0], rtol=1e-6)
