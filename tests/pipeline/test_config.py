import dataclasses
import math

import pytest

from models.configs import CONFIGS, legal_sides
from pipeline.config import (
    NODES,
    AugmentConfig,
    Config,
    EvaluatorConfig,
    ImageConfig,
    PusherConfig,
    TrainerConfig,
    TransformConfig,
)
from pipeline.presets import PRESETS


@pytest.mark.parametrize(
    ("section", "field", "allowed", "refused"),
    [
        (ImageConfig, "height", [1, 224], [0, -1]),
        (ImageConfig, "width", [1, 224], [0, -1]),
        (TrainerConfig, "epochs", [1], [0, -1]),
        (TrainerConfig, "batch_size", [1], [0, -1]),
        (TrainerConfig, "learning_rate", [1e-9], [0.0, -0.1]),
        (TrainerConfig, "warmup_epochs", [0.0, 0.5], [-0.1]),
        (TrainerConfig, "momentum", [0.0, 0.99], [-0.1, 1.0]),
        (TrainerConfig, "weight_decay", [0.0], [-1e-4]),
        (TrainerConfig, "label_smoothing", [0.0, 0.99], [-0.1, 1.0]),
        (TrainerConfig, "average", [0.0, 0.999], [-0.1, 1.0]),
        (TrainerConfig, "class_balance", [0.0, 1.0], [-0.1, 1.1]),
        (AugmentConfig, "shift", [0], [-1]),
        (AugmentConfig, "min_area", [0.01, 1.0], [0.0, 1.1]),
        (AugmentConfig, "erase", [0.0, 1.0], [-0.1, 1.1]),
        (AugmentConfig, "mixup", [0.0, 2.0], [-0.1]),
        (AugmentConfig, "cutmix", [0.0, 2.0], [-0.1]),
        (AugmentConfig, "unmixed_epochs", [0, 5], [-1]),
        (TrainerConfig, "backbone_rate", [1e-3, 1.0], [0.0, -0.1, 1.1]),
        # above 1 is a bar that no model meets, which is a way to train without a push
        (EvaluatorConfig, "min_top1", [0.0, 1.0, 1.01], [-0.1, math.nan]),
        (EvaluatorConfig, "min_top5", [0.0, 1.0, 1.01], [-0.1, math.nan]),
        (EvaluatorConfig, "max_loss", [0.1, math.inf], [0.0, -1.0, math.nan]),
        (EvaluatorConfig, "min_top1_gain", [-1.0, 0.0, 0.1], []),
        (PusherConfig, "keep_versions", [2, 100], [1, 0, -1]),
    ],
)
def test_values_that_are_allowed_and_refused(section, field, allowed, refused):
    for value in allowed:
        assert getattr(section(**{field: value}), field) == value
    name = f"{section.__name__.removesuffix('Config').lower()}.{field}"
    for value in refused:
        with pytest.raises(ValueError, match=rf"`{name}` must be .*\. Received: {value}"):
            section(**{field: value})


@pytest.mark.parametrize("preset", PRESETS)
def test_preset_is_made_of_known_networks_and_legal_sizes(preset):
    config = PRESETS[preset]
    image, model = config.image, config.model
    assert model.name in CONFIGS
    for side in (image.height, image.width):
        assert side in legal_sides(side, model.name, model.stem)
    assert config.trainer.warmup_epochs <= config.trainer.epochs


def test_random_parts_need_the_images_as_they_came():
    augment = AugmentConfig(min_area=0.3)
    with pytest.raises(ValueError, match=r"`augment.min_area` must be 1 with transform"):
        Config(augment=augment, transform=TransformConfig(materialize=True))
    assert Config(augment=augment).augment == augment


def test_config_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        PRESETS["digits"].trainer.epochs = 3


def test_every_section_is_a_dataclass_with_documented_fields():
    """The documentation is what `--help` says of a field."""
    import inspect

    source = inspect.getsource(inspect.getmodule(Config))
    for section in dataclasses.fields(Config):
        for field in dataclasses.fields(section.type):
            declared = source.index(f"    {field.name}: ", source.index(section.type.__name__))
            after = source[declared:].split("\n", 1)[1].lstrip()
            assert after.startswith('"""'), f"{section.name}.{field.name} is not documented"


def test_nodes_are_named_once():
    assert len(set(NODES)) == len(NODES)
