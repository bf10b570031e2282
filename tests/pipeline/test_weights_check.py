import dataclasses
from pathlib import Path

import pytest
from recorded_runs import Recorder

from models import fishnet, keras_file
from pipeline.config import Config, ImageConfig
from pipeline.training_config import ModelConfig, TrainerConfig
from pipeline.weights_check import check_weights

CHAMPION = Config(
    image=ImageConfig(16, 16), model=ModelConfig("fishnet_tiny", "small", weights="champion")
)
SPARED = dataclasses.replace(CHAMPION, trainer=TrainerConfig(backbone_rate=0.5))


@pytest.fixture
def train(tmp_path):
    """Function: whether the model is blessed → its artifact's folder."""

    def train(blessed: bool) -> Path:
        recorder = Recorder(tmp_path)
        ids = recorder.training("2026-11-01T10:00:00", blessed=blessed, push=False)
        [model] = recorder.store.get_artifacts_by_id([ids["model"]])
        return Path(model.uri)

    return train


def write(folder: Path) -> None:
    network = fishnet.build("fishnet_tiny", 2, (16, 16, 3), "small")
    about = keras_file.About("fishnet_tiny", "small", ["a", "b"], [0.0] * 3, [1.0] * 3)
    keras_file.write(network, about, folder / "model.keras")


@pytest.mark.parametrize("trained", ["nothing", "not blessed", "of an earlier version"])
def test_without_a_champion_a_backbone_cannot_be_spared(tmp_path, train, trained):
    if trained != "nothing":
        folder = train(blessed=trained != "not blessed")
        if trained == "not blessed":
            write(folder)
    check_weights(CHAMPION, tmp_path)
    with pytest.raises(ValueError, match="no blessed model.*--trainer.backbone_rate 1 "):
        check_weights(SPARED, tmp_path)


def test_champion_must_be_of_this_network(tmp_path, train):
    write(train(blessed=True))
    check_weights(SPARED, tmp_path)
    simple = dataclasses.replace(SPARED, model=dataclasses.replace(SPARED.model, width=2.0))
    with pytest.raises(ValueError, match="Give --model.width 1.0, or other weights"):
        check_weights(simple, tmp_path)
