import json
import math

import pytest
from tfx import types
from tfx.components import Trainer
from tfx.components.trainer import executor as trainer_executor
from tfx.orchestration.data_types import RuntimeParameter
from tfx.proto.trainer_pb2 import EvalArgs, TrainArgs
from tfx.types import standard_artifacts
from tfx.utils import json_utils

from components.ingest.report import REPORT_FILE, DataReport, Report
from components.train.component import Executor, FishNetTrainer
from dataset import record
from dataset.manifest import Shard

CONFIG = {"trainer": {"seed": 7, "flip": False}, "model": {"name": "fishnet99"}, "checkpoints": ""}


@pytest.fixture
def custom_config(tmp_path, monkeypatch):
    """Function: config, report → what TFX's executor gives to `run_fn` as `custom_config`."""
    passed = []
    monkeypatch.setattr(
        trainer_executor.GenericExecutor, "Do", lambda self, *args: passed.append(args)
    )

    def custom_config(config=CONFIG, report=Report(), **parameters):  # noqa: B008
        artifact = DataReport()
        artifact.uri = str(tmp_path)
        (tmp_path / REPORT_FILE).write_text(report.to_json(), "utf-8")
        inputs, outputs = {"report": [artifact], "examples": []}, {"model": []}
        properties = {
            "custom_config": json_utils.dumps(config),
            "train_args": "args",
            "epochs": 2,
            "learning_rate": 0.5,
            **parameters,
        }
        before = dict(properties)
        Executor().Do(inputs, outputs, properties)
        assert properties == before
        [(*others, given)] = passed
        assert others == [inputs, outputs]
        found = json_utils.loads(given.pop("custom_config"))
        del properties["custom_config"]
        assert given == properties  # all else as it is
        return found

    return custom_config


def test_epochs_and_learning_rate_are_merged_into_the_trainers_section(custom_config):
    found = custom_config(epochs=3, learning_rate=0.25)
    assert found == {
        **CONFIG,
        "trainer": {"seed": 7, "flip": False, "epochs": 3, "learning_rate": 0.25},
        "class_names": [],
        "record_bytes": 0.0,
        "validation_examples": 0,
    }


def test_epochs_and_learning_rate_of_the_run_win(custom_config):
    config = {"trainer": {"epochs": 60, "learning_rate": 0.1, "seed": 7}}
    trainer = custom_config(config, epochs=1, learning_rate=0.2)["trainer"]
    assert trainer == {"epochs": 1, "learning_rate": 0.2, "seed": 7}


@pytest.mark.parametrize(
    "given",
    [{"epochs": 0}, {"epochs": -1}, {"learning_rate": 0.0}, {"learning_rate": math.nan}],
)
def test_epochs_and_learning_rate_of_the_run_have_the_rules_of_the_config(custom_config, given):
    [(name, value)] = given.items()
    with pytest.raises(ValueError, match=rf"`trainer\.{name}` must be positive. Received: {value}"):
        custom_config(**given)


def test_classes_are_named_as_the_data_report_does(custom_config):
    report = Report(class_names=("Kätzchen", "bee"), num_classes=2)
    assert custom_config(report=report)["class_names"] == ["Kätzchen", "bee"]


def test_mean_size_of_a_record_is_that_of_the_training_shards(custom_config):
    shards = {"train/a": Shard(900, 3), "train/b": Shard(100, 1), "val/a": Shard(7, 7)}
    assert custom_config(report=Report(shards=shards))["record_bytes"] == 250


def test_number_of_validation_examples_is_that_of_the_good_records(custom_config):
    report = Report()
    report.classes[record.VAL].update({(1, ""): 3, (2, ""): 4})
    report.bad[record.VAL]["label"] += 1
    assert custom_config(report=report)["validation_examples"] == 7


# ---- the component


def trainer(epochs=2, learning_rate=0.5) -> FishNetTrainer:
    return FishNetTrainer(
        examples=types.Channel(type=standard_artifacts.Examples),
        transform_graph=types.Channel(type=standard_artifacts.TransformGraph),
        schema=types.Channel(type=standard_artifacts.Schema),
        report=types.Channel(type=DataReport),
        epochs=epochs,
        learning_rate=learning_rate,
        custom_config=CONFIG,
    )


def test_is_tfxs_trainer_with_two_more_parameters_and_one_more_input():
    plain = Trainer(
        run_fn="components.train.run.run_fn",
        examples=types.Channel(type=standard_artifacts.Examples),
        transform_graph=types.Channel(type=standard_artifacts.TransformGraph),
        schema=types.Channel(type=standard_artifacts.Schema),
        train_args=TrainArgs(splits=["train"]),
        eval_args=EvalArgs(splits=["val"]),
        custom_config=CONFIG,
    )
    node = trainer()
    assert isinstance(node, Trainer)
    given = {name: value for name, value in plain.exec_properties.items() if value is not None}
    assert node.exec_properties == {**given, "epochs": 2, "learning_rate": 0.5}
    assert set(node.inputs) == {*plain.inputs, "report"}
    assert set(node.outputs) == set(plain.outputs)
    assert node.EXECUTOR_SPEC.executor_class is Executor


def test_a_run_may_set_epochs_and_learning_rate():
    epochs = RuntimeParameter("epochs", int, default=2)
    rate = RuntimeParameter("learning_rate", float, default=0.5)
    properties = trainer(epochs, rate).exec_properties
    assert properties["epochs"] is epochs
    assert properties["learning_rate"] is rate
    assert json.loads(properties["custom_config"]) == CONFIG
