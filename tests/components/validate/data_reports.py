"""Makes the reports on data that the gate judges, and the shards that they tell of."""

from components.ingest.report import Report
from dataset.manifest import Shard
from dataset.record_check import CheckedRecord, Problem

CLASSES = 3


def report_of(train: dict, val: dict) -> Report:
    """A report on good records: label, or label and synset → how many, of each split."""
    report = Report()
    for split, numbers in (("train", train), ("val", val)):
        for key, number in numbers.items():
            report.classes[split][key if isinstance(key, tuple) else (key, "")] += number
    return report


def add_bad(report: Report, number: int, label: int = 0, **others) -> Report:
    """Adds bad records of the label, 0 if they are of no class."""
    split = others.get("split", "train")
    problem = Problem(others.get("reason", "no label"), "so it is", others.get("conversion"))
    for n in range(number):
        bad = CheckedRecord(f"{n:03d}.png", label=label, problem=problem)
        report.add(split, bad, f"{split}/a, record {n}")
    return report


def shards_of(train: int, val: int) -> dict[str, Shard]:
    return {
        f"{split}/{split}-{index:05d}-of-{number:05d}": Shard(100 + index, index, f"{index}")
        for split, number in (("train", train), ("val", val))
        for index in range(number)
    }
