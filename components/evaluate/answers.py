"""A metric that keeps what is worth looking at of a network's answers: for the run's report.

Calibration of the first answer (Guo et al., ICML 2017: equal bins of its score, from which the
expected calibration error comes), the gravest mistakes, and some images drawn at random.
"""

import dataclasses
import hashlib
import heapq
import json
from collections.abc import Iterable

import apache_beam as beam
import numpy as np
import tensorflow_model_analysis as tfma
from tensorflow_model_analysis.proto import config_pb2  # tfma has these only once TFX is loaded

from dataset import record

ANSWERS = "answers"  # the metric's name

BINS = 15  # of the score, 0..1
KEPT = 24  # mistakes, and images drawn


@dataclasses.dataclass(frozen=True, order=True)
class Answer:
    """What the network says of an image.

    Attributes:
      image: Digest of the image's file, as `image_digest` gives it.
      truth: Its class, from 0.
      predicted: The first answer, from 0.
      score: Probability of that.
      truth_score: Probability of the truth.
    """

    image: str
    truth: int
    predicted: int
    score: float
    truth_score: float


@dataclasses.dataclass
class Kept:
    """What is kept of some answers.

    Attributes:
      counts: Number of answers in each bin of the score.
      scores: Sum of their scores.
      right: How many of them are right.
      mistakes: The `KEPT` wrong answers of the highest scores, the highest first.
      drawn: The `KEPT` answers of the smallest digests: at random, and the same ones each time.
    """

    counts: list[int] = dataclasses.field(default_factory=lambda: [0] * BINS)
    scores: list[float] = dataclasses.field(default_factory=lambda: [0.0] * BINS)
    right: list[int] = dataclasses.field(default_factory=lambda: [0] * BINS)
    mistakes: list[Answer] = dataclasses.field(default_factory=list)
    drawn: list[Answer] = dataclasses.field(default_factory=list)

    def add(self, answer: Answer) -> None:
        """Counts an answer."""
        bin_number = min(int(answer.score * BINS), BINS - 1)
        is_right = answer.predicted == answer.truth
        self.counts[bin_number] += 1
        self.scores[bin_number] += answer.score
        self.right[bin_number] += is_right
        self._keep([] if is_right else [answer], [answer])

    def merge(self, other: "Kept") -> None:
        """Adds what `other` counts to this."""
        self.counts = [a + b for a, b in zip(self.counts, other.counts, strict=True)]
        self.scores = [a + b for a, b in zip(self.scores, other.scores, strict=True)]
        self.right = [a + b for a, b in zip(self.right, other.right, strict=True)]
        self._keep(other.mistakes, other.drawn)

    def calibration_error(self) -> float:
        """Expected calibration error: the mean of |share right - score|; nan without answers."""
        gaps = [abs(right - score) for right, score in zip(self.right, self.scores, strict=True)]
        return sum(gaps) / sum(self.counts) if any(self.counts) else float("nan")

    def to_json(self) -> str:
        """All of it as JSON; `from_json` reads it."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str | bytes) -> "Kept":
        """Reads what `to_json` wrote."""
        raw = json.loads(text)
        for key in ("mistakes", "drawn"):
            raw[key] = [Answer(**answer) for answer in raw[key]]
        return cls(**raw)

    def _keep(self, mistakes: list[Answer], drawn: list[Answer]) -> None:
        self.mistakes = heapq.nsmallest(KEPT, {*self.mistakes, *mistakes}, key=_gravest_first)
        self.drawn = heapq.nsmallest(KEPT, {*self.drawn, *drawn})


def _gravest_first(answer: Answer) -> tuple[float, Answer]:
    return -answer.score, answer


def image_digest(file: bytes) -> str:
    """What an image is known by: 16 hexadecimal digits of its file's SHA-256."""
    return hashlib.sha256(file).hexdigest()[:16]


class Answers(tfma.metrics.Metric):
    """The metric, for `MetricConfig`; its value is the JSON of a `Kept`."""

    def __init__(self, name: str = ANSWERS) -> None:
        super().__init__(tfma.metrics.merge_per_key_computations(_computations), name=name)


def _computations(
    name: str, eval_config: config_pb2.EvalConfig, model_name: str, output_name: str
) -> list[tfma.metrics.MetricComputation]:
    key = tfma.metrics.MetricKey(name=name, model_name=model_name, output_name=output_name)
    return [
        tfma.metrics.MetricComputation(
            keys=[key],
            preprocessors=[tfma.metrics.FeaturePreprocessor(feature_keys=[record.IMAGE])],
            combiner=_Combiner(key, eval_config),
        )
    ]


class _Combiner(beam.CombineFn):
    def __init__(self, key: tfma.metrics.MetricKey, eval_config: config_pb2.EvalConfig) -> None:
        self._key = key
        self._eval_config = eval_config

    def create_accumulator(self) -> Kept:
        return Kept()

    def add_input(self, kept: Kept, element: tfma.metrics.StandardMetricInputs) -> Kept:
        [(label, probabilities, _)] = tfma.metrics.to_label_prediction_example_weight(
            element,
            eval_config=self._eval_config,
            model_name=self._key.model_name,
            output_name=self._key.output_name,
            flatten=False,
        )
        [image] = np.ravel(element["features"][record.IMAGE])
        probabilities, truth = np.ravel(probabilities), int(np.ravel(label)[0])
        predicted = int(np.argmax(probabilities))
        answer = Answer(
            image=image_digest(image),
            truth=truth,
            predicted=predicted,
            score=float(probabilities[predicted]),
            truth_score=float(probabilities[truth]),
        )
        kept.add(answer)
        return kept

    def merge_accumulators(self, accumulators: Iterable[Kept]) -> Kept:
        merged = Kept()
        for kept in accumulators:
            merged.merge(kept)
        return merged

    def extract_output(self, kept: Kept) -> dict[tfma.metrics.MetricKey, str]:
        return {self._key: kept.to_json()}
