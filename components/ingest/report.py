"""What was found in a data set's shards, and the artifact that carries it."""

import collections
import dataclasses
import json
import re

from tfx.dsl.io import fileio
from tfx.types.experimental import simple_artifacts

from dataset import record
from dataset.classes import Class
from dataset.manifest import Shard
from dataset.record_check import CheckedRecord

REPORT_FILE = "report.json"
QUARANTINE_FILE = "quarantine.jsonl"  # a line for each bad record: place, fault, SHA-256
QUARANTINED_RECORDS = "quarantine"  # prefix of the TFRecord files with those records, unaltered
NAMED_PROBLEMS = 20  # how many bad records are named in errors; all are counted


# The artifact with a `Report` and the records that were set aside. Of TFX's own types, since
# Kubeflow's specs know no other ones.
DataReport = simple_artifacts.Statistics


@dataclasses.dataclass
class Report:
    """What the shards of a data set hold.

    Attributes:
      shards: Name inside the data set's folder → what was read of it.
      faults: Shard's name → why it could not be read to its end.
      classes: Split → how many good records each label and synset have.
      bad: Split → how many records were bad, by reason.
      bad_labels: Label → how many records with it were bad.
      problems: What is wrong with the first `NAMED_PROBLEMS` bad records, by place.
      conversions: Flags of `dataprep tfrecords` → number of bad records that it takes with them.
      leaked: Number of validation records whose image is in the training split too.
      class_names: The classes' names in label order; empty if only the records name the classes.
      num_classes: Number of classes; 0 if only the records show it.
    """

    shards: dict[str, Shard] = dataclasses.field(default_factory=dict)
    faults: dict[str, str] = dataclasses.field(default_factory=dict)
    classes: dict[str, collections.Counter[Class]] = dataclasses.field(
        default_factory=lambda: {split: collections.Counter() for split in record.SPLITS}
    )
    bad: dict[str, collections.Counter[str]] = dataclasses.field(
        default_factory=lambda: {split: collections.Counter() for split in record.SPLITS}
    )
    bad_labels: collections.Counter[int] = dataclasses.field(default_factory=collections.Counter)
    problems: list[str] = dataclasses.field(default_factory=list)
    conversions: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    leaked: int = 0
    class_names: tuple[str, ...] = ()
    num_classes: int = 0

    def add(self, split: str, found: CheckedRecord, place: str) -> None:
        """Counts a record of `split`, which is at `place`."""
        if found.problem is None:
            self.classes[split][found.label, found.synset] += 1
            return
        self.bad[split][found.problem.reason] += 1
        if found.label:
            self.bad_labels[found.label] += 1
        if found.problem.conversion is not None:
            self.conversions[found.problem.conversion] += 1
        if len(self.problems) < NAMED_PROBLEMS:
            name = f"{found.name}: " if found.name else ""
            self.problems.append(f"{place}: {name}{found.problem.detail}")

    def merge(self, other: "Report") -> None:
        """Adds what `other` says to this report."""
        self.shards.update(other.shards)
        self.faults.update(other.faults)
        for split in record.SPLITS:
            self.classes[split].update(other.classes[split])
            self.bad[split].update(other.bad[split])
        self.bad_labels.update(other.bad_labels)
        self.conversions.update(other.conversions)
        self.problems = sorted([*self.problems, *other.problems], key=_by_number)[:NAMED_PROBLEMS]
        self.leaked += other.leaked

    def labels(self, split: str) -> collections.Counter[int]:
        """How many good records each label has in `split`."""
        labels: collections.Counter[int] = collections.Counter()
        for (label, _), number in self.classes[split].items():
            labels[label] += number
        return labels

    def good(self, split: str) -> int:
        """Number of good records in `split`."""
        return self.classes[split].total()

    @property
    def bad_records(self) -> int:
        """Number of bad records, of all splits."""
        return sum(found.total() for found in self.bad.values())

    def read(self, split: str) -> int:
        """Number of records in `split`, good and bad."""
        return self.good(split) + self.bad[split].total()

    def record_bytes(self, split: str) -> float:
        """Mean size of a record in `split`, good or bad, as it is in the shard; 0 without any."""
        shards = [shard for name, shard in self.shards.items() if name.startswith(f"{split}/")]
        records = sum(shard.records or 0 for shard in shards)
        return sum(shard.bytes for shard in shards) / records if records else 0.0

    def to_json(self) -> str:
        """The report as JSON; `from_json` reads it."""
        fields = {
            "shards": {name: dataclasses.asdict(self.shards[name]) for name in sorted(self.shards)},
            "faults": dict(sorted(self.faults.items())),
            "classes": {
                split: [
                    [label, synset, number] for (label, synset), number in sorted(found.items())
                ]
                for split, found in self.classes.items()
            },
            "bad": self.bad,
            "bad_labels": dict(sorted(self.bad_labels.items())),
            "problems": self.problems,
            "conversions": dict(sorted(self.conversions.items())),
            "leaked": self.leaked,
            "class_names": self.class_names,
            "num_classes": self.num_classes,
        }
        return json.dumps(fields, indent=1, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> "Report":
        """Reads what `to_json` wrote."""
        raw = json.loads(text)
        return cls(
            shards={name: Shard(**fields) for name, fields in raw["shards"].items()},
            faults=raw["faults"],
            classes={
                split: collections.Counter({(label, synset): n for label, synset, n in found})
                for split, found in raw["classes"].items()
            },
            bad={split: collections.Counter(found) for split, found in raw["bad"].items()},
            bad_labels=collections.Counter({int(k): n for k, n in raw["bad_labels"].items()}),
            problems=raw["problems"],
            conversions=collections.Counter(raw["conversions"]),
            leaked=raw["leaked"],
            class_names=tuple(raw["class_names"]),
            num_classes=raw["num_classes"],
        )


def _by_number(text: str) -> list[tuple[int, str]]:
    """A key for sorting by which record 9 comes before record 10."""
    return [(int(part), "") if part.isdecimal() else (0, part) for part in re.split(r"(\d+)", text)]


def read_report(uri: str) -> Report:
    """The report inside a `DataReport` artifact at `uri`."""
    with fileio.open(f"{uri}/{REPORT_FILE}") as file:
        return Report.from_json(file.read())
