import json
from types import SimpleNamespace

import pytest
from tfx import types
from tfx.components import Tuner
from tfx.components.tuner import executor as tuner_executor
from tfx.proto.trainer_pb2 import EvalArgs, TrainArgs
from tfx.types import standard_artifacts
from tfx.utils import json_utils

from components.ingest.report import REPORT_FILE, DataReport, Report
from components.tune.component import Executor, FishNetTuner
from components.tune.trials import Trial, read_trials

CONFIG = {"trainer": {"seed": 7}, "tuner": {"trials": 2}}
TRIALS = [Trial({"trainer.learning_rate": 0.1}, 1, 1.0, 0.5, 1.0, "trained")]


def artifact(kind: type, folder) -> types.Artifact:
    folder.mkdir()
    found = kind()
    found.uri = str(folder)
    return found


@pytest.fixture
def do(tmp_path, monkeypatch):
    """Function: the search's checkpoints → what TFX's search got, and the outputs."""

    def do(checkpoints):
        report = artifact(DataReport, tmp_path / "report")
        (tmp_path / "report" / REPORT_FILE).write_text(Report(class_names=("ant",)).to_json())
        outputs = {
            "best_hyperparameters": [artifact(standard_artifacts.HyperParameters, tmp_path / "b")],
            "tuner_results": [artifact(standard_artifacts.TunerResults, tmp_path / "r")],
        }
        passed = {}

        def search(inputs, properties, working_dir, print_tuning_summary) -> SimpleNamespace:
            passed.update(properties, working_dir=working_dir, prints=print_tuning_summary)
            trials = SimpleNamespace(ranked=lambda: TRIALS)
            return SimpleNamespace(trials=trials, checkpoints=checkpoints)

        def write_best(found, written) -> None:
            assert written is outputs
            (tmp_path / "b" / "best_hyperparameters.txt").write_text("{}")

        monkeypatch.setattr(tuner_executor, "search", search)
        monkeypatch.setattr(tuner_executor, "write_best_hyperparameters", write_best)
        monkeypatch.setattr(Executor, "_get_tmp_dir", lambda self: "tmp")
        properties = {"custom_config": json_utils.dumps(CONFIG), "epochs": 9, "learning_rate": 0.5}
        Executor().Do({"report": [report]}, outputs, properties)
        return passed, outputs

    return do


def test_search_is_given_what_the_trainer_gets(do):
    passed, outputs = do(None)
    assert json.loads(passed["custom_config"]) == {
        "trainer": {"seed": 7, "epochs": 9, "learning_rate": 0.5},
        "tuner": {"trials": 2},
        "class_names": ["ant"],
        "record_bytes": 0.0,
        "validation_examples": 0,
    }
    assert (passed["working_dir"], passed["prints"]) == ("tmp", False)
    assert read_trials(outputs["tuner_results"][0].uri) == TRIALS


def test_trials_are_deleted_once_all_is_written(do, tmp_path):
    def delete() -> None:
        assert (tmp_path / "b" / "best_hyperparameters.txt").exists()
        assert read_trials(str(tmp_path / "r")) == TRIALS
        deleted.append(True)

    deleted = []
    do(SimpleNamespace(delete=delete))
    assert deleted


def test_is_tfxs_tuner_with_two_more_parameters_and_one_more_input():
    inputs = {
        "examples": types.Channel(type=standard_artifacts.Examples),
        "transform_graph": types.Channel(type=standard_artifacts.TransformGraph),
        "schema": types.Channel(type=standard_artifacts.Schema),
    }
    plain = Tuner(
        **inputs,
        tuner_fn="components.tune.search.tuner_fn",
        train_args=TrainArgs(splits=["train"]),
        eval_args=EvalArgs(splits=["val"]),
        custom_config=CONFIG,
    )
    node = FishNetTuner(
        **inputs,
        report=types.Channel(type=DataReport),
        epochs=2,
        learning_rate=0.5,
        custom_config=CONFIG,
    )
    assert isinstance(node, Tuner)
    given = {name: value for name, value in plain.exec_properties.items() if value is not None}
    assert node.exec_properties == {**given, "epochs": 2, "learning_rate": 0.5}
    assert set(node.inputs) == {*plain.inputs, "report"}
    assert set(node.outputs) == set(plain.outputs)
    assert node.EXECUTOR_SPEC.executor_class is Executor
