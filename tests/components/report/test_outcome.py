import dataclasses
import json
import math
from types import SimpleNamespace

import pytest
from tfx.types import standard_artifacts

from components.ingest.report import REPORT_FILE, DataReport, Report
from components.push import serving_gate
from components.push.pusher import UNCHANGED
from components.push.serving_gate import ServingReport
from components.push.serving_probe import Findings
from components.report import keys, outcome
from components.report.outcome import check_thresholds, summary, verdict
from components.report.verdict import Verdict
from components.tune.trials import Trial, write_trials
from pipeline.config import EvaluatorConfig


def thresholds(**given) -> dict[str, float]:
    return dataclasses.asdict(EvaluatorConfig(**given))


def pushed_model(pushed: bool, unchanged: bool = False, version: str = "", path: str = ""):
    artifact = standard_artifacts.PushedModel()
    artifact.set_int_custom_property("pushed", int(pushed))
    artifact.set_int_custom_property(UNCHANGED, int(unchanged))
    artifact.set_string_custom_property("pushed_version", version)
    artifact.set_string_custom_property("pushed_destination", path)
    return artifact


def blessing(blessed: bool) -> standard_artifacts.ModelBlessing:
    artifact = standard_artifacts.ModelBlessing()
    artifact.set_int_custom_property("blessed", int(blessed))
    return artifact


@pytest.mark.parametrize(
    ("pushed", "unchanged", "blessed", "wanted"),
    [
        (True, False, True, Verdict.PUSHED),
        (True, True, True, Verdict.UNCHANGED),
        (False, False, False, Verdict.NOT_BLESSED),
        (False, False, True, Verdict.SERVING_REFUSED),
    ],
)
def test_verdict_is_pushers_and_the_gate_that_kept_it_from_pushing(
    pushed, unchanged, blessed, wanted
):
    left = {
        keys.PUSHED_MODEL: [pushed_model(pushed, unchanged)],
        keys.BLESSING: [blessing(blessed)],
    }
    assert verdict(left) is wanted


def test_run_that_ended_before_pusher_is_partial():
    assert verdict({}) is Verdict.PARTIAL
    assert verdict({keys.MODEL: [standard_artifacts.Model()]}) is Verdict.PARTIAL


MEASURED = {"top1": 0.6, "top5": 0.9, "loss": 1.5}


def test_each_threshold_is_told_with_its_value_and_whether_it_is_met():
    bars = thresholds(min_top1=0.7, min_top5=0.8, max_loss=1.5, min_top1_gain=0.1)
    assert check_thresholds({**MEASURED, "top1_diff": -0.05}, bars) == {
        "min_top1": {"bound": 0.7, "value": 0.6, "met": False},
        "min_top5": {"bound": 0.8, "value": 0.9, "met": True},
        "max_loss": {"bound": 1.5, "value": 1.5, "met": True},
        "min_top1_gain": {"bound": 0.1, "value": -0.05, "met": False},
    }


@pytest.mark.parametrize(
    ("name", "bound", "met"),
    [
        ("min_top1", 0.6, True),
        ("min_top1", 0.61, False),
        ("min_top5", 0.9, True),
        ("min_top5", 0.91, False),
        ("max_loss", 1.5, True),
        ("max_loss", 1.49, False),
        ("min_top1_gain", 0.1, True),
        ("min_top1_gain", 0.11, False),
        ("min_top1_gain", -0.1, True),
    ],
)
def test_threshold_is_met_at_its_bound(name, bound, met):
    checks = check_thresholds({**MEASURED, "top1_diff": 0.1}, thresholds(**{name: bound}))
    assert checks[name]["met"] is met


@pytest.mark.parametrize(("bound", "met"), [(0.25, True), (0.26, False)])
def test_bar_of_each_class_is_told_with_the_worst_class(bound, met):
    slices = {"ant": {"top1": 0.5}, "bee": {"top1": 0.25}, "cat": {"top1": 1.0}}
    checks = check_thresholds({**MEASURED, "slices": slices}, thresholds(min_class_top1=bound))
    assert checks["min_class_top1"] == {"bound": bound, "class": "bee", "value": 0.25, "met": met}


def test_thresholds_that_gate_nothing_are_not_told():
    checks = check_thresholds(MEASURED, thresholds(min_top1_gain=0.5, max_loss=math.inf))
    assert "min_top1_gain" not in checks  # there is no champion
    assert "max_loss" not in checks
    assert "min_class_top1" not in checks


@pytest.fixture
def example_gen(tmp_path):
    report = Report(leaked=1)
    report.classes["train"].update({(1, "ant"): 3, (2, "bee"): 4})
    report.classes["val"].update({(1, "ant"): 2})
    report.bad["val"].update({"no label": 1, "no image": 2})
    (tmp_path / REPORT_FILE).write_text(report.to_json())
    artifact = DataReport()
    artifact.uri = str(tmp_path)
    return {keys.DATA_REPORT: [artifact]}


def test_summary_of_a_run_that_stopped_early(example_gen):
    assert summary(example_gen, thresholds()) == {
        "model_version": None,
        "serving_model": None,
        "metrics": {},
        "thresholds": {},
        "trials": [],
        "serving": None,
        "examples": {
            "train": {"read": 7, "quarantined": 0},
            "val": {"read": 5, "quarantined": 3},
        },
        "leaked": 1,
    }


def test_summary_tells_what_the_serving_gate_found(tmp_path):
    artifact = ServingReport()
    artifact.uri = str(tmp_path)
    found = Findings(load_seconds=1.0, faults=["PNG: no answer"])
    (tmp_path / serving_gate.REPORT_FILE).write_text(json.dumps(vars(found)))
    told = summary({keys.SERVING_REPORT: [artifact]}, thresholds())["serving"]
    assert (told["load_seconds"], told["faults"]) == (1.0, ["PNG: no answer"])


def test_classes_of_the_metrics_are_named_as_the_data_report_does(tmp_path, monkeypatch):
    """Also where the config gives no names: a cluster's is made before it sees the data."""
    (tmp_path / REPORT_FILE).write_text(Report(class_names=("ant", "bee")).to_json())
    report, graph = DataReport(), standard_artifacts.TransformGraph()
    report.uri = str(tmp_path)
    monkeypatch.setattr(outcome.tft, "TFTransformOutput", lambda uri: "graph")
    table = SimpleNamespace(names=["ANT", "BEE"])
    monkeypatch.setattr(
        outcome, "read_class_table", lambda *given: given == ("graph", ("ant", "bee")) and table
    )
    monkeypatch.setattr(
        outcome, "evaluation_metrics", lambda uri, names: {**MEASURED, "names": names}
    )
    left = {
        keys.DATA_REPORT: [report],
        keys.TRANSFORM_GRAPH: [graph],
        keys.EVALUATION: [standard_artifacts.ModelEvaluation()],
    }
    assert summary(left, thresholds())["metrics"]["names"] == ["ANT", "BEE"]


def test_summary_tells_what_was_pushed():
    pushed = pushed_model(True, False, "17", "/serving/17")
    found = summary({keys.PUSHED_MODEL: [pushed]}, thresholds())
    assert (found["model_version"], found["serving_model"]) == ("17", "/serving/17")
    found = summary({keys.PUSHED_MODEL: [pushed_model(False)]}, thresholds())
    assert (found["model_version"], found["serving_model"]) == (None, None)


def test_summary_has_the_tuners_trials_the_best_first(tmp_path):
    trials = [Trial({"model.width": 0.5}, 10, 1.5, 0.25, 2.0, "trained")]
    write_trials(str(tmp_path), trials)
    results = standard_artifacts.TunerResults()
    results.uri = str(tmp_path)
    [found] = summary({keys.TRIALS: [results]}, thresholds())["trials"]
    assert found == {
        "values": {"model.width": 0.5},
        "parameters": 10,
        "latency_ms": 1.5,
        "val_top1": 0.25,
        "seconds": 2.0,
        "status": "trained",
    }
    assert summary({}, thresholds())["trials"] == []
