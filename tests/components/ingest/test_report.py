import copy
import json
from collections import Counter

import pytest

from components.ingest.report import NAMED_PROBLEMS, REPORT_FILE, Report, read_report
from dataset.manifest import Shard
from dataset.record_check import CheckedRecord, Problem

NAMES = ('Kätzchen "7"\n.png', "猫 ' \u2028.png")


def good(label: int, synset: str = "") -> CheckedRecord:
    return CheckedRecord("good.png", b"image", label, synset)


def bad(label: int = 0, reason: str = "no label", name: str = "bad.png") -> CheckedRecord:
    return CheckedRecord(name, b"image", label, problem=Problem(reason, f"it has {reason}"))


@pytest.fixture
def report():
    """One with something of everything."""
    report = Report(
        shards={"train/b": Shard(10, 2, "aa"), "train/a": Shard(20, None, None)},
        faults={"train/b": 'record 3 "is" cut short'},
        leaked=4,
        class_names=("Kätzchen", "猫"),
        num_classes=2,
    )
    for label in (1, 1, 10):
        report.add("train", good(label, f"n{label:02d} Kätzchen"), "a, record 7")
    report.add("val", good(2), "a, record 7")
    for name in NAMES:
        report.add("train", bad(10, "wrong class", name), "a, record 7")
    report.add("val", bad(), "a, record 7")
    return report


def test_records_are_counted(report):
    assert report.classes["train"] == {(1, "n01 Kätzchen"): 2, (10, "n10 Kätzchen"): 1}
    assert report.labels("train") == {1: 2, 10: 1}
    assert report.labels("val") == {2: 1}
    assert (report.good("train"), report.read("train")) == (3, 5)
    assert (report.good("val"), report.read("val")) == (1, 2)
    assert report.bad == {"train": {"wrong class": 2}, "val": {"no label": 1}}
    assert report.bad_labels == {10: 2}  # label 0 is that of no class
    assert report.problems[-1] == "a, record 7: bad.png: it has no label"


def test_labels_of_several_synsets_are_added():
    report = Report()
    for synset in ("a", "b", ""):
        report.add("train", good(3, synset), "a, record 7")
    assert report.labels("train") == {3: 3}


def test_first_problems_are_named_and_all_are_counted():
    report = Report()
    for number in range(NAMED_PROBLEMS + 5):
        report.add("val", bad(name=f"{number}.png"), "a, record 7")
    assert len(report.problems) == NAMED_PROBLEMS
    assert report.bad["val"] == {"no label": NAMED_PROBLEMS + 5}


def test_report_is_the_same_after_json(report):
    after = Report.from_json(report.to_json())
    assert after == report
    assert after.labels("train")[10] == 1  # JSON's keys are strings
    assert after.class_names == ("Kätzchen", "猫")
    assert Report.from_json(Report().to_json()) == Report()


def test_report_of_an_artifact(report, tmp_path):
    (tmp_path / REPORT_FILE).write_text(report.to_json(), "utf-8")
    assert read_report(str(tmp_path)) == report


def test_json_is_for_people_too(report):
    text = report.to_json()
    assert "Kätzchen" in text
    assert list(json.loads(text)["shards"]) == ["train/a", "train/b"]


def test_merging_adds_up(report):
    other = Report(shards={"val/a": Shard(5, 1, "bb")}, faults={"val/a": "gone"}, leaked=3)
    other.add("train", good(1, "n01 Kätzchen"), "a, record 7")
    other.add("val", bad(10), "a, record 7")
    report.merge(other)
    assert set(report.shards) == {"train/a", "train/b", "val/a"}
    assert set(report.faults) == {"train/b", "val/a"}
    assert report.classes["train"][1, "n01 Kätzchen"] == 3
    assert report.bad["val"] == {"no label": 2}
    assert report.bad_labels == {10: 3}
    assert report.leaked == 7
    assert len(report.problems) == 4


def test_merged_is_not_kept_by_what_it_is_merged_into(report):
    """Beam forbids that an element is changed."""
    before = copy.deepcopy(report)
    merged = Report()
    merged.merge(report)
    assert merged.classes == before.classes
    merged.merge(report)
    assert report == before


def test_merging_in_any_order_gives_the_same():
    """How Beam groups the shards' reports must not be seen."""
    parts = []
    for number in range(NAMED_PROBLEMS + 5):
        part = Report(shards={f"train/{number}": Shard(number)}, leaked=1)
        part.add("train", good(1 + number % 3), "a, record 7")
        part.add("train", bad(2, name="a.png"), f"a, record {number}")
        parts.append(part)
    merged = Report()
    for part in parts:
        merged.merge(part)
    halves = Report(), Report()
    for number, part in enumerate(reversed(parts)):
        halves[number % 2].merge(part)
    halves[1].merge(halves[0])
    assert halves[1].to_json() == merged.to_json()
    assert merged.problems == [
        f"a, record {number}: a.png: it has no label" for number in range(NAMED_PROBLEMS)
    ]
    assert merged.classes["train"] == Counter({(1, ""): 9, (2, ""): 8, (3, ""): 8})
