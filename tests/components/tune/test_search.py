import itertools
import logging
import os
import signal
import time
from pathlib import Path

import pytest
import tensorflow as tf
from forkserver import FORKSERVER
from run_arguments import AUGMENT, TINY

from components.tune import network, search
from components.tune.network import Costs
from components.tune.search import Search, tuner_fn

LEARNING_RATE = "trainer.learning_rate"
WEIGHT_DECAY = "trainer.weight_decay"
GRID = list(itertools.product((0.1, 0.2, 0.4), (0.0, 1e-3)))
BEST = (0.2, 1e-3)
STRATEGIES = ["grid", "random", "bayesian"]


class Killed(BaseException):
    """Ends a search as Ctrl-C does, or a signal that no `except` sees."""


class Trained:
    """In place of the training: what was trained, and a top-1 that is best at `BEST`."""

    def __init__(self) -> None:
        self.configs = []
        self.killed_at = 0  # the number of a trial

    def __call__(self, fn_args) -> tuple[str, float]:
        if len(self.configs) + 1 == self.killed_at:
            self.killed_at = 0
            raise Killed
        trainer = fn_args.custom_config["trainer"]
        self.configs.append(fn_args.custom_config)
        far = abs(trainer["learning_rate"] - BEST[0]) + abs(trainer["weight_decay"] - BEST[1])
        return "trained", 0.9 - far

    @property
    def values(self) -> list[tuple[float, float]]:
        trainers = [config["trainer"] for config in self.configs]
        return [(trainer["learning_rate"], trainer["weight_decay"]) for trainer in trainers]


@pytest.fixture
def trained(monkeypatch):
    trained = Trained()
    monkeypatch.setattr(search, "_train", trained)
    return trained


@pytest.fixture
def measured(monkeypatch):
    """The model sections that were measured; a network has 1000 weights for each unit of width."""
    measured = []

    def measure(self, fn_args) -> Costs:
        measured.append(fn_args.custom_config["model"])
        return Costs(int(1000 * measured[-1]["width"]), latency_ms=10 * measured[-1]["depth"])

    monkeypatch.setattr(Search, "_measure", measure)
    return measured


def run(fn_args) -> Search:
    """As TFX's Tuner runs a search."""
    result = tuner_fn(fn_args)
    result.tuner.search(**result.fit_kwargs)
    return result.tuner


def best(found: Search) -> dict[str, object]:
    """What TFX's Tuner takes for the best values."""
    return found.get_best_hyperparameters()[0].values


def test_grid_tries_every_combination_and_the_best_one_is_found(search_args, trained, measured):
    found = run(search_args())
    assert sorted(trained.values) == GRID
    assert best(found) == {LEARNING_RATE: BEST[0], WEIGHT_DECAY: BEST[1]}
    ranked = found.trials.ranked()
    assert ranked[0].values == best(found)
    assert [trial.val_top1 for trial in ranked] == sorted(
        (trial.val_top1 for trial in ranked), reverse=True
    )


@pytest.mark.parametrize("strategy", ["random", "bayesian"])
def test_other_searches_try_as_many_as_they_are_told(search_args, trained, measured, strategy):
    run(search_args(search=strategy, trials=4))
    assert len(trained.values) == len(set(trained.values)) == 4
    assert set(trained.values) < set(GRID)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_seed_of_the_config_is_one_of_the_search(search_args, trained, measured, strategy):
    args = search_args(search=strategy, trials=6)
    args.custom_config["trainer"]["seed"] = 2**32 - 1
    assert len(run(args).trials.ranked()) == 6


def test_trial_trains_as_the_trainer_would_for_fewer_epochs(search_args, trained, measured):
    args = search_args(learning_rates=(0.3,), weight_decays=(), widths=(2.0,))
    args.custom_config["trainer"] |= {"epochs": 8, "warmup_epochs": 2.0}
    args.custom_config["augment"] = {**AUGMENT, "unmixed_epochs": 8}
    wanted = {**args.custom_config["trainer"]}
    run(args)
    [config] = trained.configs
    assert config["trainer"] == {
        **wanted,
        "epochs": 1,
        "warmup_epochs": 0.25,
        "learning_rate": 0.3,
    }
    assert config["model"] == {**TINY, "width": 2.0}
    assert config["augment"] == {**AUGMENT, "unmixed_epochs": 1}


def test_network_over_a_limit_is_not_trained(search_args, trained, measured):
    """More of them one after the other than KerasTuner bears of failures."""
    found = run(
        search_args(
            weight_decays=(),
            learning_rates=(),
            widths=(4.0, 5.0, 6.0, 7.0, 1.0),
            depths=(1.0, 2.0),
            max_parameters=3000,
            max_latency_ms=15.0,
        )
    )
    assert [config["model"]["width"] for config in trained.configs] == [1.0]
    assert best(found) == {"model.width": 1.0, "model.depth": 1.0}
    states = {tuple(trial.values.values()): trial.status for trial in found.trials.ranked()}
    assert states[1.0, 1.0] == "trained"
    assert states[4.0, 1.0] == states[4.0, 2.0] == "over max_parameters"
    assert states[1.0, 2.0] == "over max_latency_ms"
    assert len(states) == 10


def test_search_without_a_result_is_an_error_that_shows_the_trials(search_args, trained, measured):
    with pytest.raises(ValueError, match=r"(?s)no trial .* the limits:\n.*over max_parameters"):
        run(search_args(max_parameters=1))
    assert not trained.configs


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (FloatingPointError("the loss became nan"), "diverged"),
        (tf.errors.ResourceExhaustedError(None, None, "OOM"), "out of memory"),
    ],
)
def test_training_that_fails_by_its_values_ends_its_trial_alone(
    search_args, measured, monkeypatch, error, status
):
    class Training:
        def __init__(self, fn_args) -> None:
            self.rate = fn_args.custom_config["trainer"]["learning_rate"]

        def fit(self, history) -> None:
            if self.rate > 0.1:
                raise error
            history += [{"val_top1": 0.9}, {"val_top1": 0.5}]

    monkeypatch.setattr(search, "Training", Training)
    found = run(search_args(weight_decays=()))
    assert [(t.status, t.val_top1) for t in found.trials.ranked()] == [
        ("trained", 0.5),  # after the last epoch
        (status, None),
        (status, None),
    ]


def test_any_other_error_ends_the_search(search_args, measured, monkeypatch):
    """KerasTuner by itself would go on, and the Trainer with whatever it had."""

    def lose_files(fn_args):
        raise FileNotFoundError("no such examples")

    monkeypatch.setattr(search, "_train", lose_files)
    with pytest.raises(Exception, match="FileNotFoundError: no such examples"):
        run(search_args())


# ---- a search that was killed


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("killed_at", [1, 4])
def test_search_that_was_killed_goes_on_with_the_trial_that_ran(
    search_args, trained, measured, monkeypatch, strategy, killed_at
):
    fields = {"search": strategy, "trials": 6}
    whole = run(search_args(**fields))
    order = list(trained.values)
    whole.checkpoints.delete()

    trained.configs.clear()
    trained.killed_at = killed_at
    with pytest.raises(Killed):
        run(search_args(**fields))
    again = run(search_args(**fields))
    assert trained.values == order  # each of them once
    assert best(again) == best(whole)
    assert {t.status for t in again.trials.ranked()} == {"trained"}


def test_trials_are_kept_for_the_same_search_and_no_other(search_args, trained, measured):
    run(search_args())
    number = len(trained.configs)
    run(search_args())
    assert len(trained.configs) == number
    for change in ({"epochs": 2}, {"max_parameters": 10**9}):
        run(search_args(**change))
        number += len(GRID)
        assert len(trained.configs) == number
    args = search_args()
    args.train_files = ["elsewhere"]
    run(args)
    assert len(trained.configs) == number + len(GRID)


def test_without_a_folder_for_them_no_trials_are_kept(search_args, trained, measured, tmp_path):
    args = search_args()
    args.custom_config["checkpoints"] = ""
    assert len(run(args).trials.ranked()) == len(GRID)
    assert not (tmp_path / "checkpoints").exists()


def test_network_is_measured_once(search_args, trained, monkeypatch):
    measured = []

    def measure(model) -> Costs:
        measured.append(model.count_params())
        return Costs(measured[-1], 1.0)

    monkeypatch.setattr(network, "measure", measure)
    found = run(search_args(widths=(1.0, 2.0), weight_decays=()))
    assert len(trained.configs) == 6
    assert len(measured) == 2
    for trial in found.trials.ranked():
        assert trial.parameters == measured[int(trial.values["model.width"]) - 1]


def search_in_a_process(fn_args, log: Path) -> None:
    logging.basicConfig(filename=log, level=logging.INFO, force=True)
    run(fn_args)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_trials_survive_sigkill(search_args, tmp_path):
    """Nothing is replaced here: two trainings, and a kill within the second one."""

    def start(name: str):
        args = search_args(learning_rates=(0.1, 0.2), weight_decays=())
        process = FORKSERVER.Process(target=search_in_a_process, args=(args, tmp_path / name))
        process.start()
        return process

    def text(name: str) -> str:
        file = tmp_path / name
        return file.read_text("utf-8") if file.exists() else ""

    killed = start("killed")
    while killed.is_alive() and "trial 2" not in text("killed"):
        time.sleep(0.05)
    os.kill(killed.pid, signal.SIGKILL)
    killed.join()
    assert killed.exitcode == -signal.SIGKILL, text("killed")
    assert text("killed").count("epoch 1/1 step 3/3") == 1

    again = start("again")
    again.join()
    assert again.exitcode == 0, text("again")
    assert text("again").count("epoch 1/1 step 3/3") == 1
    assert f"trial 1: {LEARNING_RATE} 0.1, finished before" in text("again")
    assert f"trial 2: {LEARNING_RATE} 0.2\n" in text("again")
    # No trial writes its network's weights, 400 kB: pipeline/disk_space.py counts none.
    assert max(f.stat().st_size for f in tmp_path.rglob("*") if f.is_file()) < 100_000
