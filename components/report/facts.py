"""What a run's artifacts say of it, gathered for the report."""

import base64
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow_model_analysis as tfma
import tensorflow_transform as tft
from tfx.dsl.io import fileio

from components.evaluate.answers import ANSWERS, Answer, Kept
from components.evaluate.evaluator import CONFUSION, TOP1, TOP5
from components.ingest.report import Report, read_report
from components.report import images, keys
from components.report.outcome import Artifacts, class_names
from components.train.curves import CURVES_FILE
from components.train.storage import read_file
from components.transform.moments import pixel_moments
from components.validate.anomaly_gate import describe
from dataset import record

MISTAKEN_FOR = 3  # classes named of those that a class is taken for


@dataclasses.dataclass(frozen=True)
class ClassFacts:
    """A class, as the report's table has it; shares are None where nothing was evaluated.

    Attributes:
      name: Its name.
      records: Split → number of good records.
      top1: Share of its images that the first answer is right for: its recall.
      top5: Share of those that one of the first five answers is right for.
      precision: Share of right answers among those that say this class; None if none does.
      mistaken_for: Other classes that the first answer takes it for, with how often.
    """

    name: str
    records: Mapping[str, int]
    top1: float | None = None
    top5: float | None = None
    precision: float | None = None
    mistaken_for: Sequence[tuple[str, int]] = ()


@dataclasses.dataclass(frozen=True)
class Shown:
    """An image and what the network says of it.

    Attributes:
      thumbnail: A data URI; None if the image cannot be shown.
      truth: Its class.
      predicted: The first answer.
      score: Probability of that.
      truth_score: Probability of the truth.
    """

    thumbnail: str | None
    truth: str
    predicted: str
    score: float
    truth_score: float


@dataclasses.dataclass(frozen=True)
class DataFacts:
    """What is known of the data.

    Attributes:
      report: What was found in the shards.
      sizes: Height and width of some images of the training split, pixels.
      mean: Of the training split's pixels, by channel, 0..255; empty before Transform.
      stddev: Likewise.
      anomalies: A line each.
      quarantined: Some of the bad records.
    """

    report: Report
    sizes: Sequence[tuple[int, int]]
    mean: Sequence[float]
    stddev: Sequence[float]
    anomalies: Sequence[str]
    quarantined: Sequence[images.Quarantined]


@dataclasses.dataclass(frozen=True)
class Facts:
    """All that the report tells.

    Attributes:
      summary: As `summary.json` has it.
      config: Section → field → value; nothing of the classes.
      class_names: In label order.
      classes: Likewise.
      confusion: Number of images by true and predicted class, int64; None without an evaluation.
      answers: What Evaluator kept of the answers; None likewise.
      mistakes: The gravest ones.
      drawn: Images drawn at random.
      curves: Of the training, as SVG; empty if it drew none.
      data: None if no record was read.
      lineage: What → the artifact's place.
    """

    summary: Mapping[str, Any]
    config: Mapping[str, Any]
    class_names: Sequence[str]
    classes: Sequence[ClassFacts]
    confusion: np.ndarray | None
    answers: Kept | None
    mistakes: Sequence[Shown]
    drawn: Sequence[Shown]
    curves: str
    data: DataFacts | None
    lineage: Mapping[str, str]


def gather(artifacts: Artifacts, summary: Mapping[str, Any], config: Mapping[str, Any]) -> Facts:
    """Reads what the artifacts say.

    Args:
      artifacts: By the keys of `keys.py`; of a run that failed there are some.
      summary: As `summary.json` has it.
      config: Section → field → value.
    """
    names = class_names(artifacts)
    data = _data(artifacts)
    confusion, answers = _evaluation(artifacts, len(names))
    wanted = [*answers.mistakes, *answers.drawn] if answers else []
    thumbnails = images.thumbnails(artifacts, record.VAL, {answer.image for answer in wanted})

    def shown(answer: Answer) -> Shown:
        truth, predicted = names[answer.truth], names[answer.predicted]
        thumbnail = thumbnails.get(answer.image)
        return Shown(thumbnail, truth, predicted, answer.score, answer.truth_score)

    return Facts(
        summary=summary,
        config=config,
        class_names=names,
        classes=_classes(names, data, confusion, summary["metrics"].get("slices", {})),
        confusion=confusion,
        answers=answers,
        mistakes=[shown(answer) for answer in answers.mistakes] if answers else [],
        drawn=[shown(answer) for answer in answers.drawn] if answers else [],
        curves=_curves(artifacts),
        data=data,
        lineage={key: found[0].uri for key, found in artifacts.items() if found},
    )


def confused_pairs(facts: Facts, most: int) -> list[tuple[str, str, int]]:
    """The pairs of classes that are taken for each other most: truth, first answer, how often."""
    if facts.confusion is None:
        return []
    wrong = facts.confusion - np.diag(np.diag(facts.confusion))
    order = np.argsort(-wrong, axis=None, kind="stable")[:most]
    pairs = zip(*np.unravel_index(order, wrong.shape), strict=True)
    names = facts.class_names
    return [(names[a], names[b], int(wrong[a, b])) for a, b in pairs if wrong[a, b]]


def _data(artifacts: Artifacts) -> DataFacts | None:
    found = keys.single(artifacts, keys.DATA_REPORT)
    if not found:
        return None
    mean, stddev = [], []
    if graph := keys.single(artifacts, keys.TRANSFORM_GRAPH):
        layer = tft.TFTransformOutput(graph.uri).transform_features_layer()
        mean, stddev = (moment.tolist() for moment in pixel_moments(layer))
    anomalies = [
        line
        for key in (keys.ANOMALIES, keys.SKEW)
        if (artifact := keys.single(artifacts, key))
        for line in describe(artifact)
    ]
    return DataFacts(
        report=read_report(found.uri),
        sizes=images.sizes(artifacts, record.TRAIN),
        mean=mean,
        stddev=stddev,
        anomalies=anomalies,
        quarantined=images.quarantined(found.uri),
    )


def _evaluation(artifacts: Artifacts, num_classes: int) -> tuple[np.ndarray | None, Kept | None]:
    """The confusion matrix and the kept answers of the whole validation split."""
    evaluation = keys.single(artifacts, keys.EVALUATION)
    if not evaluation:
        return None, None
    metrics = tfma.load_eval_result(evaluation.uri).get_metrics_for_slice()
    confusion = np.zeros([num_classes, num_classes], np.int64)
    [matrix] = metrics[CONFUSION]["multiClassConfusionMatrixAtThresholds"]["matrices"]
    for entry in matrix["entries"]:  # zeros are left out of the JSON
        truth, predicted = entry.get("actualClassId", 0), entry.get("predictedClassId", 0)
        confusion[truth, predicted] = round(entry["numWeightedExamples"])
    return confusion, Kept.from_json(base64.b64decode(metrics[ANSWERS]["bytesValue"]))


def _classes(
    names: Sequence[str],
    data: DataFacts | None,
    confusion: np.ndarray | None,
    slices: Mapping[str, Mapping[str, float]],
) -> list[ClassFacts]:
    labels = {split: data.report.labels(split) for split in record.SPLITS} if data else {}
    found = []
    for index, name in enumerate(names):
        label = index + record.LABEL_BASE
        records = {split: numbers[label] for split, numbers in labels.items()}
        measured = slices.get(name, {})
        precision, mistaken = None, []
        if confusion is not None:
            said = int(confusion[:, index].sum())
            precision = int(confusion[index, index]) / said if said else None
            others = [n for n in np.argsort(-confusion[index], kind="stable") if n != index]
            mistaken = [
                (names[n], int(confusion[index, n]))
                for n in others[:MISTAKEN_FOR]
                if confusion[index, n]
            ]
        found.append(
            ClassFacts(name, records, measured.get(TOP1), measured.get(TOP5), precision, mistaken)
        )
    return found


def _curves(artifacts: Artifacts) -> str:
    model_run = keys.single(artifacts, keys.MODEL_RUN)
    path = f"{model_run.uri}/{CURVES_FILE}" if model_run else ""
    if not path or not fileio.exists(path):  # a model trained by an earlier version has none
        return ""
    return read_file(path).decode()
