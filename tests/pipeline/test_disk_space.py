import dataclasses
import shutil
from types import SimpleNamespace

import pytest

from dataset.folder import Dataset
from models import fishnet
from models.configs import CONFIGS, approximate_weights, scaled
from pipeline import disk_space as module
from pipeline.config import Config, ImageConfig, TransformConfig
from pipeline.disk_space import OTHERS, DiskSpaceError, disk_space
from pipeline.nodes import NODES, TUNER
from pipeline.training_config import ModelConfig, TrainerConfig, TunerConfig

MEGABYTE = 1_000_000
SIMPLE = Config(model=ModelConfig("fishnet_simple"), image=ImageConfig(64, 64))


@pytest.fixture
def dataset(tmp_path) -> Dataset:
    """40 MB in 10,000 records."""
    shards = {"train": (tmp_path / "train-0",), "val": (tmp_path / "val-0",)}
    for path, size in ((tmp_path / "train-0", 30), (tmp_path / "val-0", 10)):
        with path.open("wb") as file:
            file.truncate(size * MEGABYTE)
    return Dataset(tmp_path, shards, {"train": 9_000, "val": 1_000}, None, None)


@pytest.fixture
def free(monkeypatch):
    """Function: sets how many bytes are free on every disk."""

    def free(size: float) -> None:
        monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=size))

    return free


def needed(config, dataset, output, nodes=NODES) -> dict[str, float]:
    return disk_space(config, dataset, nodes, output).needed


def test_data_are_there_twice_while_they_are_mixed(dataset, tmp_path):
    assert needed(SIMPLE, dataset, tmp_path)["ImportExampleGen"] == 2.1 * 40 * MEGABYTE
    assert "Transform" not in needed(SIMPLE, dataset, tmp_path)


def test_materialized_images_are_floats(dataset, tmp_path):
    config = dataclasses.replace(SIMPLE, transform=TransformConfig(materialize=True))
    assert needed(config, dataset, tmp_path)["Transform"] == 10_000 * 64 * 64 * 3 * 4


def test_checkpoints_have_what_the_optimizer_and_the_average_keep(dataset, tmp_path):
    def trainer(**fields) -> float:
        config = dataclasses.replace(SIMPLE, trainer=TrainerConfig(**fields))
        return needed(config, dataset, tmp_path)["Trainer"]

    weights = 4 * approximate_weights("fishnet_simple", 200)
    plain = trainer(optimizer="sgd", average=0.0)
    assert plain == (3 * 2 + 4) * weights
    assert trainer(optimizer="adamw", average=0.0) == pytest.approx(plain + 3 * weights)
    assert trainer(optimizer="sgd", average=0.9) == pytest.approx(plain + 3 * weights)


def test_only_nodes_that_run_are_counted(dataset, tmp_path):
    assert set(needed(SIMPLE, dataset, tmp_path, ("DataGate", "Trainer"))) == {"Trainer"}


def test_tuners_trials_write_no_checkpoints(dataset, tmp_path):
    tuned = dataclasses.replace(SIMPLE, tuner=TunerConfig(enable=True))
    assert needed(tuned, dataset, tmp_path, tuned.nodes) == needed(SIMPLE, dataset, tmp_path)
    assert TUNER in tuned.nodes


@pytest.mark.parametrize(
    ("fields", "largest"),
    [
        ({"networks": ("fishnet_simple", "fishnet_complex")}, ("fishnet_complex", 1, 1)),
        ({"widths": (0.5, 2.0), "depths": (2.0, 1.0)}, ("fishnet_simple", 2, 2)),
    ],
)
def test_tuner_may_choose_the_largest_network_of_its_space(dataset, tmp_path, fields, largest):
    def weights(**more: object) -> float:
        config = dataclasses.replace(SIMPLE, tuner=TunerConfig(search="random", **fields, **more))
        return needed(config, dataset, tmp_path)["Pusher"] / module.PUSHED / module.FLOAT

    assert weights(enable=True) == approximate_weights(scaled(*largest), 200)
    assert weights(enable=True, max_parameters=1000) == 1000
    assert weights(max_parameters=1000) == approximate_weights("fishnet_simple", 200)


def test_what_earlier_runs_left_is_not_needed_again(dataset, tmp_path):
    """So that an interrupted run goes on, although its data fill half of the disk."""
    folder = tmp_path / "artifacts" / "ImportExampleGen" / "examples" / "2"
    folder.mkdir(parents=True)
    (folder / "a.gz").write_bytes(bytes(40 * MEGABYTE))
    space = disk_space(SIMPLE, dataset, NODES, tmp_path)
    assert space.needed["ImportExampleGen"] == 0
    assert space.left == 40 * MEGABYTE
    assert "beside 40 MB of earlier runs" in space.described()

    (folder / "a.gz").write_bytes(bytes(10 * MEGABYTE))  # it was killed, or the data were others
    space = disk_space(SIMPLE, dataset, NODES, tmp_path)
    assert space.needed["ImportExampleGen"] == 74 * MEGABYTE


@pytest.mark.parametrize(("missing", "refused"), [(1, True), (0, False)])
def test_too_little_is_refused(dataset, tmp_path, free, missing, refused):
    output = tmp_path / "not" / "yet there"
    total = sum(needed(SIMPLE, dataset, output).values()) + OTHERS
    free(total - missing)
    space = disk_space(SIMPLE, dataset, NODES, output)
    if not refused:
        space.check()
        return
    with pytest.raises(DiskSpaceError) as error:
        space.check()
    assert str(error.value) == (
        f"{output}: the run needs about 176 MB, most of it ImportExampleGen (84 MB), and 176 MB "
        f"are free. Make room, `python -m pipeline.output clean --output {output}` say, or give an "
        "--output on another disk"
    )


def test_data_that_are_yet_to_be_written_are_small(tmp_path):
    assert needed(SIMPLE, None, tmp_path)["ImportExampleGen"] == 0


def test_network_of_a_new_row_is_known(tmp_path, monkeypatch):
    monkeypatch.setitem(CONFIGS, "mine", CONFIGS["fishnet_tiny"])
    names = ("mine", "fishnet_tiny")
    mine, tiny = (needed(Config(model=ModelConfig(name)), None, tmp_path) for name in names)
    assert mine == tiny


@pytest.mark.parametrize(
    ("name", "width", "depth"),
    [("fishnet_tiny", 1, 1), ("fishnet_tiny", 2, 2), ("fishnet_tiny", 1, 0.5)],
)
def test_a_networks_weights_are_not_underestimated(tmp_path, name, width, depth):
    network = fishnet.build(scaled(name, width, depth), 200, (64, 64, 3), "small")
    config = Config(model=ModelConfig(name, "small", width, depth))
    estimated = needed(config, None, tmp_path)["Pusher"] / module.PUSHED / module.FLOAT
    assert network.count_params() <= estimated <= 1.6 * network.count_params()
