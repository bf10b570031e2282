"""Evaluator and its configuration: metrics, slices, and the thresholds that gate a push."""

import json
import logging
from typing import Any

from google.protobuf.wrappers_pb2 import DoubleValue
from tensorflow_model_analysis.proto import config_pb2
from tfx import types
from tfx.components import Evaluator
from tfx.components.evaluator import executor as evaluator_executor
from tfx.dsl.components.base import executor_spec
from tfx.types import artifact_utils, standard_component_specs
from tfx.utils import path_utils

from components.evaluate.answers import Answers
from components.evaluate.champion import incomparable
from components.transform import transformed
from dataset import record
from served_model import interface

TOP1 = "top1"
TOP5 = "top5"
LOSS = "loss"
CONFUSION = "confusion_matrix"
CHANGE_SUFFIX = "_diff"  # TFMA adds it to a metric's name for the difference to the champion's

EACH_CLASS = config_pb2.SlicingSpec(feature_keys=[record.LABEL])

# TFMA measures in float32, where 342 right answers of 360 are a little less than 0.95.
ROUNDING = 1e-6

logger = logging.getLogger(__name__)

Artifacts = dict[str, list[types.Artifact]]


class Executor(evaluator_executor.Executor):
    """TFX's executor; a champion that the candidate cannot be compared with is none."""

    def Do(  # noqa: N802
        self, input_dict: Artifacts, output_dict: Artifacts, exec_properties: dict[str, Any]
    ) -> None:
        """See the base class."""
        baseline = standard_component_specs.BASELINE_MODEL_KEY
        if input_dict.get(baseline):
            candidate, champion = (
                path_utils.serving_model_path(artifact_utils.get_single_uri(input_dict[key]))
                for key in (standard_component_specs.MODEL_KEY, baseline)
            )
            if reason := incomparable(candidate, champion):
                logger.info("the champion cannot be compared with: %s", reason)
                input_dict = {key: found for key, found in input_dict.items() if key != baseline}
        super().Do(input_dict, output_dict, exec_properties)


class GuardedEvaluator(Evaluator):
    """TFX's Evaluator with the executor above."""

    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)


def eval_config(
    min_top1: float,
    min_top5: float,
    max_loss: float,
    min_top1_gain: float,
    min_class_top1: float,
) -> config_pb2.EvalConfig:
    """What Evaluator measures on the validation split, and what blesses a model.

    The metrics are taken on the whole split and on each class; the thresholds hold for the whole
    split, so that one weak class does not block a better model unless `min_class_top1` is given.

    Args:
      min_top1: Least share of images whose class is the first answer.
      min_top5: Least share of images whose class is among the first five answers.
      max_loss: Greatest cross-entropy, nats.
      min_top1_gain: Least difference to the champion's top-1.
      min_class_top1: As `min_top1`, of each class; 0 if the classes gate nothing.
    """
    change = config_pb2.GenericChangeThreshold(
        direction=config_pb2.MetricDirection.HIGHER_IS_BETTER,
        absolute=DoubleValue(value=min_top1_gain - ROUNDING),
    )
    top1 = _metric("SparseCategoricalAccuracy", TOP1, at_least(min_top1), change)
    if min_class_top1:
        top1.per_slice_thresholds.add(
            slicing_specs=[EACH_CLASS],
            threshold=config_pb2.MetricThreshold(value_threshold=at_least(min_class_top1)),
        )
    metrics = [
        _metric("ExampleCount", "example_count"),
        top1,
        _metric("SparseTopKCategoricalAccuracy", TOP5, at_least(min_top5), k=5),
        _metric("SparseCategoricalCrossentropy", LOSS, at_most(max_loss)),
        # At threshold 0 each image counts under its first answer, however unsure that is.
        _metric("MultiClassConfusionMatrixAtThresholds", CONFUSION, thresholds=[0.0]),
        config_pb2.MetricConfig(class_name=Answers.__name__, module=Answers.__module__),
    ]
    return config_pb2.EvalConfig(
        model_specs=[
            config_pb2.ModelSpec(
                signature_name=interface.SERVE_EXAMPLES,
                preprocessing_function_names=[interface.TRANSFORM_FEATURES],
                prediction_key=interface.PROBABILITIES,
                label_key=transformed.CLASS_INDEX,
            )
        ],
        slicing_specs=[config_pb2.SlicingSpec(), EACH_CLASS],
        metrics_specs=[config_pb2.MetricsSpec(metrics=metrics)],
    )


def at_least(bound: float) -> config_pb2.GenericValueThreshold:
    """A threshold that values of `bound` and above meet."""
    return config_pb2.GenericValueThreshold(lower_bound=DoubleValue(value=bound - ROUNDING))


def at_most(bound: float) -> config_pb2.GenericValueThreshold:
    """A threshold that values up to `bound` meet."""
    return config_pb2.GenericValueThreshold(upper_bound=DoubleValue(value=bound + ROUNDING))


def _metric(
    class_name: str,
    name: str,
    value: config_pb2.GenericValueThreshold | None = None,
    change: config_pb2.GenericChangeThreshold | None = None,
    **options: int | list[float],
) -> config_pb2.MetricConfig:
    """A metric; its thresholds, if any, hold for the whole split and for no other slice."""
    metric = config_pb2.MetricConfig(
        class_name=class_name, config=json.dumps({"name": name, **options})
    )
    if value:
        metric.per_slice_thresholds.add(
            slicing_specs=[config_pb2.SlicingSpec()],
            threshold=config_pb2.MetricThreshold(value_threshold=value, change_threshold=change),
        )
    return metric
