"""Which model is blessed: its metrics against the bars, and against the champion's."""

import math

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pytest
import tensorflow_model_analysis as tfma
from tensorflow_model_analysis.evaluators import metrics_validator
from tensorflow_model_analysis.metrics import metric_specs
from tensorflow_model_analysis.proto import config_pb2

from components.evaluate.evaluator import eval_config
from components.transform import transformed
from dataset import record
from served_model import interface

pytestmark = pytest.mark.slow  # they run Beam

BASELINE = "baseline_probabilities"
CLASSES = 7


def answers(*first_ranks: int, sure: float = 0.6) -> np.ndarray:
    """Probabilities (images, classes) for the labels below.

    Args:
      first_ranks: For each image the rank of its true class, 0 being the first answer.
      sure: Probability of the first answer.
    """
    rest = np.linspace(2, 1, CLASSES - 1)
    ranked = np.array([sure, *(rest / rest.sum() * (1 - sure))])
    probabilities = np.empty((len(first_ranks), CLASSES))
    for row, rank in enumerate(first_ranks):
        classes = [c for c in range(CLASSES) if c != LABELS[row]]
        classes.insert(rank, LABELS[row])
        probabilities[row, classes] = ranked
    return probabilities


# Ten images of two classes: the first class is learnt, the second is not.
LABELS = [0, 0, 0, 0, 1, 1, 1, 1, 1, 1]
CANDIDATE = (0, 0, 0, 0, 0, 0, 1, 1, 5, 6)  # top-1 is 0.6, top-5 is 0.8
THRESHOLDS = {
    "min_top1": 0.0,
    "min_top5": 0.0,
    "max_loss": math.inf,
    "min_top1_gain": 0.0,
    "min_class_top1": 0.0,
}


@pytest.fixture
def evaluate(tmp_path):
    """Function: thresholds, and the champion's answers if any → (blessed, metrics by slice).

    TFMA does what it does for TFX's Evaluator, but the networks' answers are given, not computed.
    """

    def evaluate(champion=None, **thresholds):
        config = resolve(has_champion=champion is not None, **thresholds)
        for spec in config.model_specs:
            spec.signature_name = ""
            del spec.preprocessing_function_names[:]
            if spec.is_baseline:
                spec.prediction_key = BASELINE
        columns = {
            record.IMAGE: [[b"image %d" % number] for number, _ in enumerate(LABELS)],
            record.LABEL: [[label + record.LABEL_BASE] for label in LABELS],
            transformed.CLASS_INDEX: [[label] for label in LABELS],
            interface.PROBABILITIES: list(answers(*CANDIDATE)),
            BASELINE: list(answers(*(champion or CANDIDATE))),
        }
        # Not loaded; they say only that there are two, without which no change is gated.
        models = [
            tfma.EvalSharedModel(model_name=spec.name, model_type="model_agnostic")
            for spec in config.model_specs
        ]
        with beam.Pipeline(runner="FnApiRunner") as pipeline:
            _ = (
                pipeline
                | beam.Create([pa.RecordBatch.from_pydict(columns)])
                | tfma.ExtractEvaluateAndWriteResults(
                    eval_config=config,
                    eval_shared_model=models if len(models) > 1 else None,
                    extractors=[
                        tfma.extractors.FeaturesExtractor(config),
                        tfma.extractors.LabelsExtractor(config),
                        tfma.extractors.ExampleWeightsExtractor(config),
                        tfma.extractors.PredictionsExtractor(config),
                        tfma.extractors.UnbatchExtractor(),
                        tfma.extractors.SliceKeyExtractor(eval_config=config),
                    ],
                    output_path=str(tmp_path),
                )
            )
        metrics = {
            key: {
                name: value["doubleValue"]
                for name, value in found[""][""].items()
                if "doubleValue" in value
            }
            for key, found in tfma.load_eval_result(str(tmp_path)).slicing_metrics
        }
        return tfma.load_validation_result(str(tmp_path)).validation_ok, metrics

    return evaluate


def resolve(has_champion: bool, **thresholds: float) -> config_pb2.EvalConfig:
    """The configuration as TFX's Evaluator completes it."""
    config = tfma.utils.update_eval_config_with_defaults(
        eval_config(**{**THRESHOLDS, **thresholds}), has_baseline=has_champion, rubber_stamp=True
    )
    tfma.utils.verify_eval_config(config)
    return config


CLASS_1, CLASS_2 = ((record.LABEL, 1),), ((record.LABEL, 2),)


def test_first_model_is_measured_on_the_whole_split_and_each_class(evaluate):
    # top-1 is 0.6 in all, and 0.33 on class 2; there is no champion to gain on
    blessed, metrics = evaluate(min_top1=0.59, min_top5=0.79, max_loss=1.5, min_top1_gain=0.9)
    assert blessed
    assert set(metrics) == {(), CLASS_1, CLASS_2}
    assert metrics[CLASS_1]["top1"] == pytest.approx(1.0)
    assert metrics[CLASS_2]["top1"] == pytest.approx(2 / 6)
    whole = metrics[()]
    assert whole["example_count"] == 10
    assert whole["top1"] == pytest.approx(0.6)
    assert whole["top5"] == pytest.approx(0.8)
    true_class = answers(*CANDIDATE)[range(10), LABELS]
    assert whole["loss"] == pytest.approx(-np.log(true_class).mean(), rel=1e-4)


def test_model_that_meets_the_bars_but_loses_to_the_champion_is_not_blessed(evaluate):
    champion = (0, 0, 0, 0, 0, 0, 0, 1, 1, 1)
    bars = {"min_top1": 0.59, "min_top5": 0.79, "max_loss": 1.5}
    blessed, metrics = evaluate(champion, **bars)
    assert not blessed
    assert metrics[()]["top1_diff"] == pytest.approx(-0.1)
    # nothing but the change threshold blocked
    assert evaluate(champion, **bars, min_top1_gain=-0.1)[0]
    assert evaluate(**bars)[0]


@pytest.mark.parametrize(
    ("min_class_top1", "wanted"), [(0.0, True), (0.33, True), (0.34, False), (0.9, False)]
)
def test_model_of_which_one_class_is_bad_is_blessed_unless_classes_are_gated(
    evaluate, min_class_top1, wanted
):
    # top-1 is 0.6 in all, 1 on class 1 and 0.333 on class 2
    assert evaluate(min_top1=0.6, min_class_top1=min_class_top1)[0] is wanted


# Measured on the whole split, and far worse on one class.
GOOD = {"top1": 0.6, "top5": 0.8, "loss": 1.4, "top1_diff": 0.1}
BAD = {"top1": 0.0, "top5": 0.0, "loss": 99.0, "top1_diff": -1.0}


def is_blessed(slices: dict[tuple, dict[str, float]], champion: bool, **thresholds: float) -> bool:
    """What TFMA's validator makes of metrics, by slice."""
    config = resolve(champion, **thresholds)
    keys = metric_specs.metric_thresholds_from_metrics_specs(
        config.metrics_specs, eval_config=config
    )

    def value(key, measured: dict[str, float]) -> float:
        if key.model_name == tfma.BASELINE_KEY:
            measured = BAD  # a champion's own figures must not matter
        return measured[f"{key.name}_diff" if key.is_diff else key.name]

    return all(
        metrics_validator.validate_metrics(
            (slice_key, {key: value(key, measured) for key in keys}), config
        ).validation_ok
        for slice_key, measured in slices.items()
    )


@pytest.mark.parametrize("champion", [False, True])
@pytest.mark.parametrize(
    ("met", "missed"),
    [
        ({"min_top1": 0.6}, {"min_top1": 0.61}),
        ({"min_top5": 0.8}, {"min_top5": 0.81}),
        ({"max_loss": 1.4}, {"max_loss": 1.39}),
    ],
    ids=["min_top1", "min_top5", "max_loss"],
)
def test_absolute_thresholds_gate_with_and_without_a_champion(champion, met, missed):
    assert is_blessed({(): GOOD}, champion, **met)
    assert not is_blessed({(): GOOD}, champion, **missed)


@pytest.mark.parametrize(
    ("diff", "gain", "blessed"),
    [
        (0.1, 0.0, True),
        (0.1, 0.1, True),
        (0.1, 0.11, False),
        (0.0, 0.0, True),
        (-0.1, 0.0, False),
        (-0.1, -0.1, True),
        (-0.1, -0.09, False),
    ],
)
def test_gain_over_the_champion(diff, gain, blessed):
    measured = {(): {**GOOD, "top1_diff": diff}}
    assert is_blessed(measured, champion=True, min_top1_gain=gain) is blessed


def test_one_weak_class_does_not_block():
    thresholds = {"min_top1": 0.5, "min_top5": 0.7, "max_loss": 2.0, "min_top1_gain": 0.05}
    assert is_blessed({(): GOOD, CLASS_1: BAD}, champion=True, **thresholds)
    assert not is_blessed({(): BAD, CLASS_1: GOOD}, champion=True, **thresholds)


def test_gated_classes_are_each_held_against_their_own_bar_and_no_other():
    bars = {"min_top1": 0.5, "min_class_top1": 0.2, "min_top1_gain": 0.05}
    weak = {**BAD, "top1": 0.2}  # loses to the champion on this class, and is below min_top1
    assert is_blessed({(): GOOD, CLASS_1: GOOD, CLASS_2: weak}, champion=True, **bars)
    weak["top1"] = 0.19
    assert not is_blessed({(): GOOD, CLASS_1: GOOD, CLASS_2: weak}, champion=True, **bars)
    assert not is_blessed({(): {**GOOD, "top1": 0.49}, CLASS_1: GOOD}, champion=True, **bars)


def test_bar_that_no_model_meets():
    perfect = {"top1": 1.0, "top5": 1.0, "loss": 0.0}
    assert is_blessed({(): perfect}, champion=False, min_top1=1.0)
    assert not is_blessed({(): perfect}, champion=False, min_top1=1.01)
