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
from components.transform.class_table import read_class_table
from components.tune.trials import Trial, read_trials
from dataset import record
from pipeline.config import Config, EvaluatorConfig
from pipeline.local_run import NodeRun
from pipeline.nodes import TUNER
from pipeline.verdict import Verdict

Metrics = dict[str, float]


def verdict(nodes: Mapping[str, NodeRun]) -> Verdict:
    """The verdict of a run whose nodes all succeeded.

    Args:
      nodes: By id.
    """
    if "Pusher" not in nodes:
        return Verdict.PARTIAL
    pushed_model = _artifact(nodes, "Pusher", "pushed_model")
    if pushed_model.get_int_custom_property("pushed"):
        unchanged = pushed_model.get_int_custom_property(pusher.UNCHANGED)
        return Verdict.UNCHANGED if unchanged else Verdict.PUSHED
    blessed = _artifact(nodes, "Evaluator", "blessing").get_int_custom_property(BLESSED)
    return Verdict.SERVING_REFUSED if blessed else Verdict.NOT_BLESSED


def summary(nodes: Mapping[str, NodeRun], config: Config) -> dict[str, Any]:
    """What `summary.json` says of the nodes that ran; what no node has reported is empty or None.

    Args:
      nodes: By id; what comes after a failed node is missing.
      config: The run's.
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
        "components": {
            node.id: {"seconds": round(node.seconds, 3), "cached": node.cached}
            for node in nodes.values()
        },
    }
    if "ImportExampleGen" in nodes:
        report = read_report(_artifact(nodes, "ImportExampleGen", "report").uri)
        found["examples"] = {
            split: {"read": report.read(split), "quarantined": report.bad[split].total()}
            for split in record.SPLITS
        }
        found["leaked"] = report.leaked
    if "Evaluator" in nodes:
        graph = tft.TFTransformOutput(_artifact(nodes, "Transform", "transform_graph").uri)
        metrics = evaluation_metrics(
            _artifact(nodes, "Evaluator", "evaluation").uri,
            read_class_table(graph, report.class_names).names,
        )
        found["metrics"] = metrics
        found["thresholds"] = check_thresholds(metrics, config.evaluator)
    if TUNER in nodes:
        found["trials"] = [dataclasses.asdict(trial) for trial in trials(nodes[TUNER])]
    if "ServingGate" in nodes:
        findings = serving_gate.read_report(_artifact(nodes, "ServingGate", "report").uri)
        found["serving"] = dataclasses.asdict(findings)
    if "Pusher" in nodes:
        pushed_model = _artifact(nodes, "Pusher", "pushed_model")
        version = pushed_model.get_string_custom_property("pushed_version")
        path = pushed_model.get_string_custom_property("pushed_destination")
        found["model_version"], found["serving_model"] = version or None, path or None
    return found


def trials(node: NodeRun) -> list[Trial]:
    """The Tuner's trials, the best first.

    Args:
      node: The Tuner's.
    """
    [results] = node.outputs["tuner_results"]
    return read_trials(results.uri)


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
    metrics: dict[str, Any], thresholds: EvaluatorConfig
) -> dict[str, dict[str, Any]]:
    """Each threshold of the config with what was measured and whether that meets it.

    Of a threshold for each class the worst class is given, with its name.
    """
    gain = metrics.get(f"{TOP1}{CHANGE_SUFFIX}")  # there is none without a champion
    at_least = {
        "min_top1": metrics[TOP1],
        "min_top5": metrics[TOP5],
        "min_top1_gain": gain,
    }
    checks = {
        name: {"value": value, "met": value >= getattr(thresholds, name) - ROUNDING}
        for name, value in at_least.items()
        if value is not None
    }
    if not math.isinf(thresholds.max_loss):
        checks["max_loss"] = {
            "value": metrics[LOSS],
            "met": metrics[LOSS] <= thresholds.max_loss + ROUNDING,
        }
    if thresholds.min_class_top1:
        top1 = {name: found[TOP1] for name, found in metrics["slices"].items()}
        worst = min(top1, key=lambda name: top1[name])
        checks["min_class_top1"] = {
            "class": worst,
            "value": top1[worst],
            "met": top1[worst] >= thresholds.min_class_top1 - ROUNDING,
        }
    return {name: {"bound": getattr(thresholds, name), **check} for name, check in checks.items()}


def _artifact(nodes: Mapping[str, NodeRun], node_id: str, key: str) -> types.Artifact:
    [artifact] = nodes[node_id].outputs[key]
    return artifact
