import dataclasses
import math
import re

import pytest

from models.configs import CONFIGS, legal_sides
from pipeline.config import (
    Config,
    DataConfig,
    EvaluatorConfig,
    ImageConfig,
    PusherConfig,
    TransformConfig,
)
from pipeline.nodes import NODES, TUNER
from pipeline.presets import PRESETS
from pipeline.training_config import AugmentConfig, ModelConfig, TrainerConfig, TunerConfig


@pytest.mark.parametrize(
    ("section", "field", "allowed", "refused"),
    [
        (ImageConfig, "height", [1, 224], [0, -1]),
        (ImageConfig, "width", [1, 224], [0, -1]),
        (ModelConfig, "width", [0.5, 1.0, 2.5], [0.0, -0.5, 0.75, math.nan]),
        (ModelConfig, "depth", [0.1, 3.0, 32.0], [0.0, -1.0, 99.0, math.inf]),
        (TrainerConfig, "epochs", [1], [0, -1]),
        (TrainerConfig, "batch_size", [1], [0, -1]),
        (TrainerConfig, "learning_rate", [1e-9], [0.0, -0.1]),
        (TrainerConfig, "warmup_epochs", [0.0, 0.5], [-0.1]),
        (TrainerConfig, "momentum", [0.0, 0.99], [-0.1, 1.0]),
        (TrainerConfig, "weight_decay", [0.0], [-1e-4]),
        (TrainerConfig, "label_smoothing", [0.0, 0.99], [-0.1, 1.0]),
        (TrainerConfig, "average", [0.0, 0.999], [-0.1, 1.0]),
        (TrainerConfig, "class_balance", [0.0, 1.0], [-0.1, 1.1]),
        (TrainerConfig, "seed", [0, 2**32 - 1], [-1, 2**32]),
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


@pytest.mark.parametrize("field", ["class_names", "synsets"])
@pytest.mark.parametrize(
    ("names", "odd"), [(("ant", "bee", "ant"), "['ant']"), (("ant", " "), "[' ']")]
)
def test_classes_need_different_names(field, names, odd):
    message = f"`data.{field}` must be different names, none of them empty. Received: {odd}"
    with pytest.raises(ValueError, match=re.escape(message)):
        DataConfig(**{field: names})


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

    for section in dataclasses.fields(Config):
        source = inspect.getsource(inspect.getmodule(section.type))
        for field in dataclasses.fields(section.type):
            declared = source.index(f"    {field.name}: ", source.index(section.type.__name__))
            after = source[declared:].split("\n", 1)[1].lstrip()
            assert after.startswith('"""'), f"{section.name}.{field.name} is not documented"


def test_nodes_are_named_once():
    assert len(set(NODES)) == len(NODES)


# ---- the search


def searched(**fields: object) -> Config:
    return Config(tuner=TunerConfig(enable=True, **fields))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"networks": ("fishnet_simple", "fishnet98")},
            "`tuner.networks` must be one of fishnet99",
        ),
        ({"widths": (0.0,)}, "`tuner.widths` must be positive numbers"),
        ({"depths": (1.0, -1.0)}, "`tuner.depths` must be positive, at most 32"),
        ({"depths": (1.0, 1e300)}, "`tuner.depths` must be positive, at most 32"),
        ({"learning_rates": (0.1, math.nan)}, "`tuner.learning_rates` must be positive numbers"),
        ({"learning_rates": (0.1, 0.1)}, r"must be values that differ. Received: \(0.1, 0.1\)"),
        ({"weight_decays": (-1e-4,)}, "`tuner.weight_decays` must be numbers from 0 on"),
        ({"trials": 0}, "`tuner.trials` must be positive"),
        ({"epochs": 0}, "`tuner.epochs` must be positive"),
        ({"max_parameters": -1}, "`tuner.max_parameters` must be 0 or more"),
        ({"max_latency_ms": math.inf}, "`tuner.max_latency_ms` must be a finite number"),
    ],
)
def test_search_that_is_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        TunerConfig(**fields)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"learning_rates": (), "weight_decays": ()}, "without anything to choose from"),
        ({"trials": 8}, "`tuner.trials` must be 9 or more, the combinations of the grid"),
        ({"widths": (0.75,)}, "`tuner.widths` must be a positive multiple of 0.5, with fishnet_si"),
        (
            {"networks": ("fishnet99", "fishnet_tiny"), "widths": (0.5,)},
            "`tuner.widths` must be a positive multiple of 1, with fishnet_tiny",
        ),
    ],
)
def test_search_that_does_not_go_with_the_rest_is_refused_where_it_is_enabled(fields, message):
    with pytest.raises(ValueError, match=message):
        searched(**fields)
    Config(tuner=TunerConfig(**fields))
    if "trials" in fields:
        searched(search="random", **fields)


def test_every_network_of_the_search_must_accept_the_images():
    image = ImageConfig(height=48, width=48)  # three halvings are too many
    tuner = TunerConfig(enable=True, networks=("fishnet_simple", "fishnet99"))
    with pytest.raises(ValueError, match=r"`image.height` must be .* that fishnet99 accepts"):
        Config(image=image, tuner=tuner)
    Config(image=image, tuner=dataclasses.replace(tuner, networks=("fishnet_simple",)))


def test_space_has_the_fields_for_which_there_are_values():
    assert TunerConfig(networks=("fishnet99",), widths=(0.5, 1.0), weight_decays=()).space == {
        "model.name": ("fishnet99",),
        "model.width": (0.5, 1.0),
        "trainer.learning_rate": (0.05, 0.1, 0.2),
    }


def test_tuner_comes_before_the_trainer_where_it_is_enabled():
    assert Config().nodes == NODES
    nodes = searched().nodes
    assert nodes[nodes.index("Transform") :][:3] == ("Transform", TUNER, "Trainer")
    assert set(nodes) == {*NODES, TUNER}
