import json
import logging

import pytest

from components.tune.trials import FinishedTrials, Trial, read_trials, table, write_trials

VALUES = {"model.name": "fishnet_tiny", "trainer.learning_rate": 0.1}
TRIAL = Trial(VALUES, 97_062, 4.71, 0.25, 12.4, "trained")


def trial(rate: float, top1: float | None, status: str = "trained") -> Trial:
    return Trial({**VALUES, "trainer.learning_rate": rate}, 97_062, 4.71, top1, 12.4, status)


@pytest.fixture
def folder(tmp_path) -> str:
    return str(tmp_path / "search")


def test_finished_trial_is_found_by_its_values_alone(folder):
    FinishedTrials(folder).add(TRIAL)
    again = FinishedTrials(folder)
    assert again.find(dict(reversed(VALUES.items()))) == TRIAL
    assert again.find({**VALUES, "trainer.learning_rate": 0.2}) is None


def test_what_lies_in_the_folder_besides_is_left_alone(folder):
    """Trials of a search whose lists were others, say."""
    FinishedTrials(folder).add(TRIAL)
    assert FinishedTrials(folder).ranked() == []


def test_object_store_keeps_them_too(store):
    FinishedTrials("memory://bucket/search").add(TRIAL)
    assert FinishedTrials("memory://bucket/search").find(VALUES) == TRIAL


@pytest.mark.parametrize("damage", ["", "{", '{"values": {}}', "[]", "\xff"])
def test_damaged_file_is_reported_and_its_trial_runs_again(folder, tmp_path, caplog, damage):
    FinishedTrials(folder).add(TRIAL)
    [file] = tmp_path.glob("search/trial-*.json")
    file.write_bytes(damage.encode("latin-1"))
    trials = FinishedTrials(folder)
    assert trials.find(VALUES) is None
    assert f"{file}: this trial has not the content that was written; it runs again" in caplog.text
    trials.add(TRIAL)
    assert FinishedTrials(folder).find(VALUES) == TRIAL


def test_best_ones_come_first_and_those_without_a_result_last():
    trials = FinishedTrials("")
    for each in (
        trial(0.1, None, "diverged"),
        trial(0.2, 0.0),
        trial(0.3, 0.5),
        trial(0.4, 0.5),
    ):
        trials.add(each)
    rates = [each.values["trainer.learning_rate"] for each in trials.ranked()]
    assert rates == [0.3, 0.4, 0.2, 0.1]  # of equals the first, which is KerasTuner's best too


def test_trials_in_an_artifact(tmp_path):
    trials = [TRIAL, trial(0.2, None, "over max_parameters")]
    write_trials(str(tmp_path), trials)
    assert read_trials(str(tmp_path)) == trials
    first, second = json.loads((tmp_path / "trials.json").read_text())
    assert (first["values"], first["val_top1"], second["val_top1"]) == (VALUES, 0.25, None)


def test_table():
    trials = [trial(0.025, 0.5), TRIAL, trial(0.2, None, "over max_latency_ms")]
    assert table(trials).splitlines() == [
        "rank    model.name  trainer.learning_rate  parameters  latency  val_top1  time  status",
        "   1  fishnet_tiny                  0.025      97,062   4.7 ms    0.5000  12 s  trained",
        "   2  fishnet_tiny                    0.1      97,062   4.7 ms    0.2500  12 s  trained",
        "   -  fishnet_tiny                    0.2      97,062   4.7 ms         -  12 s  "
        "over max_latency_ms",
    ]


def test_nothing_is_said_of_a_trial_that_is_not_there(folder, caplog):
    caplog.set_level(logging.INFO)
    assert FinishedTrials(folder).find(VALUES) is None
    assert not caplog.text
