"""What a run came to: its verdict, its metrics against their thresholds, and what is served."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow_model_analysis as tfma
import tensorflow_transform as tft
from tfx import types

from components.evaluate.evaluator import CHANGE_SUFFIX, LOSS, ROUNDING, TOP1, TOP5
from components.ingest.report import read_report
from components.push import pusher, serving_gate
from components.push.serving_gate import BLESSED
from components.report import keys
from components.report.verdict import Verdict
from components.transform.class_table import read_class_table
from components.tune.trials import read_trials
from dataset import record

Metrics = dict[str, float]
Artifacts = Mapping[str, Sequence[types.Artifact]]


def verdict(artifacts: Artifacts) -> Verdict:
    """The verdict of a run whose nodes all succeeded.

    Args:
      artifacts: What it left, by the keys of `keys.py`.
    """
    pushed_model = keys.single(artifacts, keys.PUSHED_MODEL)
    if not pushed_model:
        return Verdict.PARTIAL
    if pushed_model.get_int_custom_property("pushed"):
        unchanged = pushed_model.get_int_custom_property(pusher.UNCHANGED)
        return Verdict.UNCHANGED if unchanged else Verdict.PUSHED
    blessing = keys.single(artifacts, keys.BLESSING)
    is_blessed = blessing and blessing.get_int_custom_property(BLESSED)
    return Verdict.SERVING_REFUSED if is_blessed else Verdict.NOT_BLESSED


def summary(artifacts: Artifacts, thresholds: Mapping[str, Any]) -> dict[str, Any]:
    """What `summary.json` says of what a run left; what no node has reported is empty or None.

    Args:
      artifacts: By the keys of `keys.py`; of a run that failed there are some.
      thresholds: The config's `evaluator` section.
    """
    found: dict[str, Any] = {
        "model_version": None,
        "serving_model": None,
        "metrics": {},
        "thresholds": {},
        "trials": [],
        "serving": None,
        "examples": {},
        "leaked": None,
    }
    if data_report := keys.single(artifacts, keys.DATA_REPORT):
        report = read_report(data_report.uri)
        found["examples"] = {
            split: {"read": report.read(split), "quarantined": report.bad[split].total()}
            for split in record.SPLITS
        }
        found["leaked"] = report.leaked
    if evaluation := keys.single(artifacts, keys.EVALUATION):
        metrics = evaluation_metrics(evaluation.uri, class_names(artifacts))
        found["metrics"] = metrics
        found["thresholds"] = check_thresholds(metrics, thresholds)
    if trials := keys.single(artifacts, keys.TRIALS):
        found["trials"] = [dataclasses.asdict(trial) for trial in read_trials(trials.uri)]
    if serving := keys.single(artifacts, keys.SERVING_REPORT):
        found["serving"] = dataclasses.asdict(serving_gate.read_report(serving.uri))
    if pushed_model := keys.single(artifacts, keys.PUSHED_MODEL):
        version = pushed_model.get_string_custom_property("pushed_version")
        path = pushed_model.get_string_custom_property("pushed_destination")
        found["model_version"], found["serving_model"] = version or None, path or None
    return found


def class_names(artifacts: Artifacts) -> Sequence[str]:
    """The classes' names in label order; none before Transform has seen the records."""
    graph = keys.single(artifacts, keys.TRANSFORM_GRAPH)
    report = keys.single(artifacts, keys.DATA_REPORT)
    if not (graph and report):
        return ()
    given = read_report(report.uri).class_names
    return read_class_table(tft.TFTransformOutput(graph.uri), given).names


def evaluation_metrics(uri: str, class_names: Sequence[str]) -> dict[str, Any]:
    """Top-1, top-5 and loss of an evaluation, and under `slices` those of each class by its name.

    Args:
      uri: Of Evaluator's evaluation.
      class_names: In label order.
    """
    whole: dict[str, Any] = {}
    classes: dict[int, Metrics] = {}
    for slice_key, outputs in tfma.load_eval_result(uri).slicing_metrics:
        metrics = {
            name: value["doubleValue"]
            for name, value in outputs[""][""].items()
            if "doubleValue" in value
        }
        if slice_key:
            [(_, label)] = slice_key
            classes[label] = metrics
        else:
            whole = metrics
    slices = {class_names[n - record.LABEL_BASE]: classes[n] for n in sorted(classes)}
    return {**whole, "slices": slices}


def check_thresholds(
    metrics: dict[str, Any], thresholds: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
    """Each threshold with what was measured and whether that meets it.

    Of a threshold for each class the worst class is given, with its name.

    Args:
      metrics: As `evaluation_metrics` gives them.
      thresholds: The config's `evaluator` section.
    """
    gain = metrics.get(f"{TOP1}{CHANGE_SUFFIX}")  # there is none without a champion
    at_least = {
        "min_top1": metrics[TOP1],
        "min_top5": metrics[TOP5],
        "min_top1_gain": gain,
    }
    checks = {
        name: {"value": value, "met": value >= thresholds[name] - ROUNDING}
        for name, value in at_least.items()
        if value is not None
    }
    if not math.isinf(thresholds["max_loss"]):
        checks["max_loss"] = {
            "value": metrics[LOSS],
            "met": metrics[LOSS] <= thresholds["max_loss"] + ROUNDING,
        }
    if thresholds["min_class_top1"]:
        top1 = {name: found[TOP1] for name, found in metrics["slices"].items()}
        worst = min(top1, key=lambda name: top1[name])
        checks["min_class_top1"] = {
            "class": worst,
            "value": top1[worst],
            "met": top1[worst] >= thresholds["min_class_top1"] - ROUNDING,
        }
    return {name: {"bound": thresholds[name], **check} for name, check in checks.items()}
