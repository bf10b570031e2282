import dataclasses

import pytest

from components.train.recipe import augmentation, class_weights, warn_of_what_has_no_effect
from pipeline.training_config import AugmentConfig, TrainerConfig


def trainer(**fields: object) -> dict[str, object]:
    return dataclasses.asdict(TrainerConfig(**fields))


def augment(**fields: object) -> dict[str, object]:
    return dataclasses.asdict(AugmentConfig(**fields))


@pytest.mark.parametrize(("unmixed", "steps"), [(0, 60), (2, 40), (6, 0), (9, 0)])
def test_mixing_ends_before_the_last_epochs(unmixed, steps):
    found = augmentation(trainer(epochs=6, seed=5), augment(unmixed_epochs=unmixed), steps=10)
    assert (found.mixed_steps, found.seed) == (steps, 5)


def test_without_balance_there_are_no_weights():
    assert class_weights([5, 1], 0.0) is None


def test_balanced_classes_count_the_same_and_the_mean_weight_is_1():
    weights = class_weights([90, 10, 0], 1.0)
    assert weights == pytest.approx([100 / 2 / 90, 100 / 2 / 10, 0])
    root = class_weights([90, 10, 0], 0.5)
    assert root[1] / root[0] == pytest.approx(3)
    assert (90 * root[0] + 10 * root[1]) / 100 == pytest.approx(1)


@pytest.mark.parametrize(
    ("fields", "changes", "words"),
    [
        ({"warmup_epochs": 5.0}, {}, "trainer.warmup_epochs, 5, leaves none of the 3 epochs to"),
        ({"warmup_epochs": 3.0}, {}, "schedule: the learning rate rises to the end"),
        (
            {"batch_size": 64},
            {},
            "trainer.batch_size, 64, is more than there are",
        ),
        (
            {},
            {"mixup": 0.2, "unmixed_epochs": 3},
            "augment.unmixed_epochs, 3, leaves none of",
        ),
        ({}, {"unmixed_epochs": 3}, None),
        ({}, {}, None),
    ],
)
def test_numbers_without_effect_are_reported(caplog, fields, changes, words):
    fields = {"epochs": 3, "batch_size": 50, "warmup_epochs": 2.9, **fields}
    warn_of_what_has_no_effect(trainer(**fields), augment(**changes), examples=50)
    assert [words in record.getMessage() for record in caplog.records] == [True] * bool(words)
