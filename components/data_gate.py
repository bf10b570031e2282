"""DataGate: reads every record once, and stops the run where one could not be trained on."""

import collections
import dataclasses
import hashlib
import json
from collections.abc import Iterable

import apache_beam as beam
import tensorflow as tf
from tfx import types
from tfx import v1 as tfx
from tfx.dsl.io import fileio
from tfx.types import artifact_utils, standard_artifacts

from components import record
from components.dataset import DataError

REPORT_FILE = "report.json"
NO_LABEL = -1  # stands for the label of a record that has none
NAMED_PROBLEMS = 20  # how many bad records an error names; all are counted


class DataReport(types.Artifact):
    """What DataGate found: `report.json`, the JSON of a `Report`."""

    TYPE_NAME = "DataReport"


@dataclasses.dataclass
class Report:
    """What the records of a data set are.

    Attributes:
      labels: For each split, how many good records each label has.
      refused: How many records were bad, by reason.
      problems: What is wrong with the first `NAMED_PROBLEMS` of them, by name.
    """

    labels: dict[str, collections.Counter[int]]
    refused: collections.Counter[str]
    problems: list[str]

    @classmethod
    def empty(cls) -> "Report":
        """A report on no records."""
        return cls({s: collections.Counter() for s in record.SPLITS}, collections.Counter(), [])

    def merge(self, other: "Report") -> None:
        """Adds what `other` says to this report."""
        for split, labels in other.labels.items():
            self.labels[split].update(labels)
        self.refused.update(other.refused)
        self.problems = sorted([*self.problems, *other.problems])[:NAMED_PROBLEMS]

    def records(self, split: str) -> int:
        """Number of good records in `split`."""
        return sum(self.labels[split].values())

    def to_json(self) -> str:
        """The report as JSON; `Report.from_json` reads it."""
        return json.dumps(vars(self), indent=2)

    @classmethod
    def from_json(cls, text: str) -> "Report":
        """Reads what `to_json` wrote."""
        raw = json.loads(text)
        labels = {
            split: collections.Counter({int(label): n for label, n in counts.items()})
            for split, counts in raw["labels"].items()
        }
        return cls(labels, collections.Counter(raw["refused"]), raw["problems"])


def read_report(uri: str) -> Report:
    """The report inside a `DataReport` artifact at `uri`."""
    with fileio.open(f"{uri}/{REPORT_FILE}") as file:
        return Report.from_json(file.read())


@tfx.dsl.components.component(use_beam=True)
def DataGate(  # noqa: N802  (TFX names a component's node after its function)
    examples: tfx.dsl.components.InputArtifact[standard_artifacts.Examples],
    report: tfx.dsl.components.OutputArtifact[DataReport],
    num_classes: tfx.dsl.components.Parameter[int],
    source: tfx.dsl.components.Parameter[str],
    beam_pipeline: tfx.dsl.components.BeamComponentParameter[beam.Pipeline] = None,
) -> None:
    """Checks every record of every split.

    Args:
      examples: What ImportExampleGen read.
      report: Where the `Report` goes.
      num_classes: Labels must not exceed it; 0 if it is to be learnt from the training split.
      source: Digest of this code.
      beam_pipeline: Given by TFX.

    Raises:
      DataError: A record, or the data set as a whole, cannot be trained on.
    """
    path = f"{report.uri}/{REPORT_FILE}"
    with beam_pipeline as pipeline:
        reports = [
            pipeline
            | f"Read[{split}]"
            >> beam.io.ReadFromTFRecord(
                f"{artifact_utils.get_split_uri([examples], split)}/*",
                compression_type=beam.io.filesystem.CompressionTypes.GZIP,
            )
            | f"Inspect[{split}]" >> beam.Map(inspect, split, num_classes)
            for split in record.SPLITS
        ]
        (
            reports
            | beam.Flatten()
            | beam.CombineGlobally(_MergeReports())
            | beam.Map(Report.to_json)
            | beam.io.WriteToText(path, shard_name_template="")
        )
    check(read_report(report.uri), num_classes)


def inspect(serialized: bytes, split: str, num_classes: int) -> Report:
    """The report on one record, a serialized tf.Example."""
    report = Report.empty()
    feature = tf.train.Example.FromString(serialized).features.feature
    label = next(iter(feature[record.LABEL].int64_list.value), NO_LABEL)
    image = next(iter(feature[record.IMAGE].bytes_list.value), b"")
    problem = _label_problem(label, num_classes) or _image_problem(image)
    if problem:
        reason, detail = problem
        report.refused[reason] = 1
        name = next(iter(feature[record.FILENAME].bytes_list.value), b"").decode(errors="replace")
        # A record without a file name is told by the digest of its picture.
        name = name or f"picture with SHA-256 {hashlib.sha256(image).hexdigest()[:12]}"
        report.problems.append(f"{split}: {name}: {detail}")
    else:
        report.labels[split][label] = 1
    return report


def _label_problem(label: int, num_classes: int) -> tuple[str, str] | None:
    if label == NO_LABEL:
        return "no label", f"has no `{record.LABEL}`"
    if label < record.LABEL_BASE or (num_classes and label > num_classes):
        last = num_classes or "number of classes"
        return "label out of range", f"label {label} is not in {record.LABEL_BASE}..{last}"
    return None


def _image_problem(image: bytes) -> tuple[str, str] | None:
    if not image:
        return "no picture", f"`{record.IMAGE}` is missing or empty"
    try:
        # The decoder of components/transform.py: what passes here passes there.
        tf.io.decode_image(image, channels=3, expand_animations=False)
    except tf.errors.InvalidArgumentError as error:
        return "picture does not decode", f"picture does not decode: {str(error.message)[:120]}"
    return None


class _MergeReports(beam.CombineFn):
    def create_accumulator(self) -> Report:
        return Report.empty()

    def add_input(self, accumulator: Report, element: Report) -> Report:
        accumulator.merge(element)
        return accumulator

    def merge_accumulators(self, accumulators: Iterable[Report]) -> Report:
        merged = Report.empty()
        for accumulator in accumulators:
            merged.merge(accumulator)
        return merged

    def extract_output(self, accumulator: Report) -> Report:
        return accumulator


def check(report: Report, num_classes: int) -> None:
    """Raises DataError unless a net can be trained and judged on what `report` describes."""
    if report.refused:
        reasons = ", ".join(f"{n} × {reason}" for reason, n in report.refused.most_common())
        named = "\n  ".join(report.problems)
        raise DataError(
            f"{report.refused.total()} bad records ({reasons}):\n  {named}\n"
            "Repair or remove them and write the shards again."
        )
    for split in record.SPLITS:
        if not report.records(split):
            raise DataError(f"split `{split}` has no records; both train and val need some")
    train = report.labels[record.TRAIN]
    if len(train) == 1:
        raise DataError(
            f"every record of split `train` has the label {next(iter(train))}; "
            "a classifier needs at least two classes"
        )
    unknown = set(report.labels[record.VAL]) - set(range(num_classes or max(train), 0, -1))
    if unknown:
        raise DataError(
            f"split `val` has labels {sorted(unknown)}, beyond the training split's last, "
            f"{max(train)}; the net would have no output for them"
        )
