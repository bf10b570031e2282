"""The Evaluator's executor: with which champion the candidate is compared, and with which not."""

import json
import logging

import pytest
from tensorflow.core.protobuf import saved_model_pb2
from tfx.components import Evaluator
from tfx.components.evaluator import executor as evaluator_executor
from tfx.dsl.components.base import executor_spec
from tfx.types import standard_artifacts

from components.evaluate.evaluator import Executor, GuardedEvaluator
from served_model.files import CLASSES_FILE

pytestmark = pytest.mark.slow


@pytest.fixture
def model(tmp_path):
    """Function: class names, None for no SavedModel → a Model as Trainer gives it."""

    def model(*names: str | None) -> standard_artifacts.Model:
        artifact = standard_artifacts.Model()
        artifact.uri = str(tmp_path / f"model {names}")
        folder = tmp_path / f"model {names}" / "Format-Serving"
        if names != (None,):
            (folder / CLASSES_FILE).parent.mkdir(parents=True)
            (folder / CLASSES_FILE).write_text(json.dumps(names))
            saved_model = saved_model_pb2.SavedModel()
            saved_model.meta_graphs.add()
            (folder / "saved_model.pb").write_bytes(saved_model.SerializeToString())
        return artifact

    return model


@pytest.fixture
def passed(monkeypatch):
    """What the executor gives to TFX's."""
    passed = []
    monkeypatch.setattr(evaluator_executor.Executor, "Do", lambda self, *args: passed.append(args))
    return passed


def test_champion_that_can_be_compared_with_is_compared_with(model, passed, caplog):
    caplog.set_level(logging.INFO, logger="components")
    champion = model("ant", "bee")
    inputs = {"model": [champion], "baseline_model": [champion], "examples": []}
    Executor().Do(inputs, {"blessing": []}, {"eval_config": ""})
    assert passed == [(inputs, {"blessing": []}, {"eval_config": ""})]
    assert not caplog.records


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        (("ant", "cat"), "its class 2 is 'cat', the candidate's 'bee'"),
        (("ant",), "it knows 1 classes, the candidate 2"),
        ((None,), "it is gone, or of an earlier version of this pipeline"),
    ],
    ids=["other classes", "another number", "empty"],
)
def test_champion_that_cannot_be_compared_with_is_none_and_it_is_told(
    model, passed, caplog, names, reason
):
    caplog.set_level(logging.INFO, logger="components")
    inputs = {"model": [model("ant", "bee")], "examples": []}
    Executor().Do({**inputs, "baseline_model": [model(*names)]}, {"blessing": []}, {"fairness": 1})
    assert passed == [(inputs, {"blessing": []}, {"fairness": 1})]
    assert f"the champion cannot be compared with: {reason}" in caplog.text


@pytest.mark.parametrize("none", [{}, {"baseline_model": []}])
def test_without_a_champion_nothing_is_compared(model, passed, none):
    inputs = {"model": [model(None)], **none}
    Executor().Do(inputs, {}, {})
    assert passed == [(inputs, {}, {})]


def test_is_tfxs_evaluator_with_that_executor():
    assert issubclass(GuardedEvaluator, Evaluator)
    assert GuardedEvaluator.SPEC_CLASS is Evaluator.SPEC_CLASS
    spec = GuardedEvaluator.EXECUTOR_SPEC
    assert isinstance(spec, executor_spec.BeamExecutorSpec)  # which gets Beam's options
    assert spec.executor_class is Executor
