"""Classes that a model cannot be trained and measured on are refused."""

import pytest
from data_reports import CLASSES, add_bad, report_of

from components.ingest.report import Report
from components.validate.data_gate import (
    check_classes,
)
from dataset.errors import DataError


def faults(report: Report, num_classes: int, require_all_classes: bool) -> list[str]:
    """What is wrong with the classes; empty if nothing is."""
    report.num_classes = num_classes
    try:
        check_classes(report, require_all_classes)
    except DataError as error:
        return str(error).split("\n")
    return []


@pytest.mark.parametrize("num_classes", [0, CLASSES])
def test_good_classes_pass(num_classes):
    report = report_of({(1, "a"): 5, 2: 5, (3, "c"): 1}, {(1, "a"): 1, (2, "b"): 1, (3, "c"): 2})
    assert faults(report, num_classes, True) == []


@pytest.mark.parametrize("split", ["train", "val"])
def test_split_without_good_records(split):
    counts = {"train": {1: 1, 2: 1}, "val": {1: 1}, split: {}}
    report = add_bad(report_of(**counts), 5, split=split)
    [fault] = faults(report, CLASSES, False)
    assert fault.startswith(f"{split} has no good records.")


@pytest.mark.parametrize("require_all_classes", [True, False])
def test_one_class_only(require_all_classes):
    found = faults(report_of({2: 500}, {2: 100}), CLASSES, require_all_classes)
    assert found[0].startswith("all training records have one label.")


@pytest.mark.parametrize("require_all_classes", [True, False])
def test_validation_label_beyond_the_training_splits_last(require_all_classes):
    report = report_of({1: 5, 2: 2, 3: 5}, {1: 1, 2: 1, 3: 1, 7: 1, 4: 1})
    [fault] = faults(report, 0, require_all_classes)
    assert fault.startswith("val has records with label 4, 7, beyond train's last, 3.")


@pytest.mark.parametrize(
    ("train", "val", "num_classes", "message"),
    [
        ({1: 5, 3: 5}, {1: 2, 2: 2, 3: 1}, 0, "train lacks 1 of 3 classes: label 2. "),
        ({1: 5, 2: 5}, {1: 2, 2: 2, 3: 1}, 3, "train lacks 1 of 3 classes: label 3. "),
        ({1: 5, 2: 5, 3: 5}, {2: 2}, 0, "val lacks 2 of 3 classes: label 1, label 3. "),
        (
            dict.fromkeys(range(1, 1001), 1),
            {5: 2},
            1000,
            "val lacks 999 of 1,000 classes: label 1, label 2, label 3 and 996 more. ",
        ),
    ],
)
def test_class_that_a_split_lacks(train, val, num_classes, message):
    [fault] = faults(report_of(train, val), num_classes, True)
    assert fault.startswith(message)
    assert "--data.require_all_classes False" in fault
    assert faults(report_of(train, val), num_classes, False) == []


def test_one_absurd_label_does_not_take_the_machine():
    [train, val] = faults(report_of({1: 5, 2: 5, 2**62: 1}, {1: 5, 2: 5}), 0, True)
    assert f"label 3, label 4, label 5 and {2**62 - 3 - 3:,} more" in train
    assert f"label 3, label 4, label 5 and {2**62 - 2 - 3:,} more" in val


def test_label_of_two_synsets():
    name = 'Kätzchen "7"'
    report = report_of({(1, "n01"): 5, (2, "n02"): 5}, {(1, name): 1, (2, "n02"): 1})
    assert faults(report, 0, True) == [f"label 1 stands for several classes: {name}, n01"]


def test_synset_of_two_labels():
    report = report_of({(1, "n01"): 5, (10, "n01"): 5}, {(1, "n01"): 1, (10, "n01"): 1})
    assert faults(report, 0, False) == ["class n01 has several labels: 1, 10"]


def test_every_fault_of_the_classes_is_told():
    report = report_of({(1, "n01"): 5, (2, "n01"): 5}, {(1, "n02"): 1, 9: 1})
    told = ["label 1 stands", "class n01 has several", "val has records with label 9", "val lacks"]
    found = faults(report, 0, True)
    assert len(found) == len(told)
    for fault, beginning in zip(found, told, strict=True):
        assert fault.startswith(beginning)
