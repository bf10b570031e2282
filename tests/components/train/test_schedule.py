import math

import keras
import pytest

from components.train.schedule import Warmup


def rate(schedule: Warmup, step: int) -> float:
    return float(schedule(keras.ops.convert_to_tensor(step, "int64")))


@pytest.mark.parametrize(
    ("step", "wanted"),
    [
        (0, 0.1),  # not 0, at which a step would be wasted
        (1, 0.2),
        (3, 0.4),  # the warm-up's last
        (4, 0.4),  # the cosine's first
        (8, 0.2),  # its middle
        (11, 0.4 * 0.5 * (1 + math.cos(math.pi * 7 / 8))),  # the training's last
        (12, 0.0),
        (1000, 0.0),
    ],
)
def test_warm_up_then_half_a_cosine(step, wanted):
    schedule = Warmup(0.4, warmup_steps=4, total_steps=12)
    assert rate(schedule, step) == pytest.approx(wanted, abs=1e-7)


def test_without_a_warm_up_the_first_step_has_the_peak():
    schedule = Warmup(0.4, warmup_steps=0, total_steps=10)
    assert rate(schedule, 0) == pytest.approx(0.4)
    assert rate(schedule, 5) == pytest.approx(0.2)
    assert rate(schedule, 10) == pytest.approx(0.0, abs=1e-7)


def test_a_constant_one_stays_at_the_peak():
    schedule = Warmup(0.4, warmup_steps=4, total_steps=12, then="constant")
    steps = (0, 3, 4, 11, 1000)
    assert [rate(schedule, step) for step in steps] == pytest.approx([0.1, 0.4, 0.4, 0.4, 0.4])


@pytest.mark.parametrize("then", ["cosine", "constant"])
def test_warm_up_may_take_the_whole_training(then):
    schedule = Warmup(0.4, warmup_steps=4, total_steps=4, then=then)
    assert [rate(schedule, step) for step in range(4)] == pytest.approx([0.1, 0.2, 0.3, 0.4])


@pytest.mark.parametrize("warmup_steps", [-1, 11])
def test_warm_up_longer_than_the_training_is_refused(warmup_steps):
    with pytest.raises(ValueError, match=rf"must be in 0\.\.10 .* Received: {warmup_steps}"):
        Warmup(0.4, warmup_steps, total_steps=10)


@pytest.mark.parametrize("then", ["cosine", "constant"])
def test_is_the_same_after_it_was_saved(then):
    schedule = Warmup(0.4, warmup_steps=4, total_steps=12, then=then)
    loaded = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(schedule))
    assert [rate(loaded, n) for n in range(14)] == [rate(schedule, n) for n in range(14)]


def test_optimizer_follows_it():
    optimizer = keras.optimizers.SGD(Warmup(0.4, warmup_steps=4, total_steps=12))
    weight = keras.Variable([0.0])
    taken = []
    for _ in range(5):
        before = float(weight.numpy()[0])
        optimizer.apply([keras.ops.ones([1])], [weight])
        taken.append(before - float(weight.numpy()[0]))
    assert taken == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.4], rel=1e-5)
