import json
import logging
from pathlib import Path

import pytest

from components.ingest.report import NAMED_PROBLEMS, REPORT_FILE, DataReport, Report
from components.validate.data_gate import (
    DataGate,
    check_bad_records,
    check_classes,
    check_labels,
    check_shards,
)
from dataset.errors import DataError
from dataset.manifest import Shard
from dataset.record_check import LABEL_0, CheckedRecord, Problem

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


# ---- shards


def shards_of(train: int, val: int) -> dict[str, Shard]:
    return {
        f"{split}/{split}-{index:05d}-of-{number:05d}": Shard(100 + index, index, f"{index}")
        for split, number in (("train", train), ("val", val))
        for index in range(number)
    }


@pytest.fixture
def written(tmp_path):
    """The folder of a manifest that tells of three training and two validation shards."""
    splits = {split: {"records": 3, "shards": {}} for split in ("train", "val")}
    for name, shard in shards_of(3, 2).items():
        facts = {"bytes": shard.bytes, "records": shard.records, "sha256": shard.sha256}
        splits[name.split("/")[0]]["shards"][name] = facts
    manifest = {"splits": splits, "synsets": ["n01"], "labels_sha256": ""}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    return str(tmp_path)


def test_shards_as_they_were_written_pass(written, tmp_path):
    check_shards(Report(shards=shards_of(3, 2)), written)
    check_shards(Report(shards=shards_of(1, 7)), str(tmp_path / "no manifest there"))


def test_damaged_shards_are_named_with_what_is_wrong(written):
    report = Report(shards=shards_of(3, 2))
    report.faults = {
        "val/val-00001-of-00002": "record 7, at byte 99, is cut short",
        "train/train-00000-of-00003": "record 0, at byte 0, was altered: wrong checksum",
    }
    with pytest.raises(
        DataError,
        match=r"shards are damaged:\n  train/train-00000-of-00003: record 0, .* altered: .*"
        r"\n  val/val-00001-of-00002: record 7, at byte 99, is cut short\n",
    ):
        check_shards(report, written)


def test_many_damaged_shards_are_counted(written):
    report = Report(faults={f"train/{n:03d}": "cut short" for n in range(NAMED_PROBLEMS + 7)})
    with pytest.raises(DataError, match=r"\n  train/019: cut short and 7 more\n"):
        check_shards(report, written)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"train/train-00001-of-00003": None}, "missing train/train-00001-of-00003"),
        ({"val/val-00002-of-00002": Shard(1, 1, "")}, "val/val-00002-of-00002 cannot be one"),
        ({"val/val-00000-of-00001": Shard(1, 1, "")}, "val mixes shard sets of 1 and 2"),
        ({"val/val-00000-of-00002.gz": Shard(1, 1, "")}, "would be read as a shard"),
        ({"val/val-00001-of-00002": Shard(99, 1, "1")}, "val-00001.* has 99 bytes instead of 101"),
        ({"val/val-00001-of-00002": Shard(101, 2, "1")}, "val-00001.* has 2 records, not 1"),
        ({"val/val-00001-of-00002": Shard(101, 1, "2")}, "val-00001.* was altered: its SHA-256"),
        (
            {"val/val-00000-of-00002": None, "val/val-00001-of-00002": None},
            "val-00000-of-00002 is missing, val/val-00001-of-00002 is missing",
        ),
    ],
)
def test_shards_that_are_not_those_that_were_written(written, change, message):
    shards = {name: shard for name, shard in {**shards_of(3, 2), **change}.items() if shard}
    with pytest.raises(DataError, match=message):
        check_shards(Report(shards=shards), written)


@pytest.mark.parametrize("content", [b"{}", b"\xff"])
def test_manifest_of_something_else(written, content):
    (Path(written) / "manifest.json").write_bytes(content)
    with pytest.raises(DataError, match=r"manifest\.json is not a manifest"):
        check_shards(Report(shards=shards_of(3, 2)), written)


# ---- bad records


def refusal(report: Report, max_bad_share: float) -> str:
    """What the report is refused for; empty if it is not."""
    try:
        check_bad_records(report, "data", max_bad_share, "out/quarantine.jsonl")
    except DataError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    ("bad", "total", "share"),
    [(1, 1000, 0.001), (29, 100, 0.29), (7, 100, 0.07), (3, 3000, 0.001), (1, 3, 1 / 3), (0, 9, 0)],
)
def test_budget_of_all_records(bad, total, share):
    """Of records that are of no class."""
    assert refusal(add_bad(report_of({1: total - bad}, {}), bad), share) == ""
    message = refusal(add_bad(report_of({1: total - bad - 1}, {}), bad + 1), share)
    assert f"({bad + 1} of {total} records):\n" in message


@pytest.mark.parametrize("bad", [1, 29])
def test_budget_of_a_class(bad):
    """Its records of both splits together; other classes do not make up for them."""
    share = bad / 100

    def report(bad: int) -> Report:
        good = report_of({1: 10**6, 2: 90 - bad}, {2: 10})
        return add_bad(good, bad, label=2, reason="wrong class", split="val")

    assert refusal(report(bad), share) == ""
    message = refusal(report(bad + 1), share)
    assert f"({bad + 1} of the 100 records with label 2):\n" in message


def test_every_class_over_the_budget_counts_and_the_whole():
    report = report_of(dict.fromkeys(range(1, 7), 50), {})
    for label in (1, 3, 4, 6):
        add_bad(report, 1, label=label)
    assert refusal(report, 0.01).splitlines()[0] == (
        "4 bad records, more than the budget of 1.000% (4 of 304 records, "
        "1 of the 51 records with label 1, 1 of the 51 records with label 3 and 2 more):"
    )


def test_class_all_of_whose_records_are_bad():
    report = add_bad(report_of({1: 10**6}, {}), 3, label=2)
    assert "3 of the 3 records with label 2" in refusal(report, 0.5)


def test_no_bad_share_at_all():
    assert refusal(report_of({1: 10**6}, {}), 0.0) == ""
    assert refusal(add_bad(report_of({1: 10**6}, {}), 1), 0.0)


def test_any_bad_share_will_do():
    report = add_bad(add_bad(report_of({}, {1: 1}), 500), 500, label=2)
    assert refusal(report, 1.0) == ""


def test_nothing_read_is_not_over_the_budget():
    assert refusal(Report(), 0.0) == ""


def test_refusal_has_a_table_of_reasons():
    report = report_of({1: 5}, {2: 5})
    add_bad(report, 1300, reason="no label")
    add_bad(report, 2, reason="image does not decode")
    add_bad(report, 1, reason="no label", split="val")
    head, table, *lines = refusal(report, 0.001).split("\n  ")
    assert head.startswith("1303 bad records, more than the budget of 0.100% (")
    assert table.split() == ["reason", "train", "val"]
    assert lines[0].rsplit(maxsplit=2) == ["image does not decode", "2", "0"]
    assert lines[1].rsplit(maxsplit=2) == ["no label", "1,300", "1"]
    assert len({len(line) for line in (table, *lines[:2])}) == 1
    assert lines[2] == "train/a, record 0: 000.png: so it is"
    assert lines[2 + NAMED_PROBLEMS].startswith("…\n")  # there are more than those that are named
    assert "All of them are listed in out/quarantine.jsonl\n" in lines[-1]
    assert "--data.max_bad_share" in lines[-1]


# ---- classes


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


# ---- the node


@pytest.fixture
def gate(tmp_path, written):
    """Function: runs DataGate on a report, with parameters other than the usual ones."""

    def gate(report: Report, **parameters) -> None:
        artifact = DataReport()
        artifact.uri = str(tmp_path / "report")
        Path(artifact.uri).mkdir(exist_ok=True)
        (Path(artifact.uri) / REPORT_FILE).write_text(report.to_json(), "utf-8")
        usual = {
            "data": written,
            "max_bad_share": 0.1,
            "require_all_classes": True,
        }
        DataGate.test_call(report=artifact, **{**usual, **parameters})

    return gate


@pytest.fixture
def found():
    """A report that the gate lets pass."""
    report = report_of({1: 50, 2: 50, 3: 50}, {1: 9, 2: 9, 3: 9})
    report.shards = shards_of(3, 2)
    report.num_classes = CLASSES
    return report


def test_node_lets_good_data_pass(gate, found, caplog):
    with caplog.at_level(logging.WARNING):
        gate(found)
    assert not caplog.records


def test_node_tells_what_it_lets_pass(gate, found, caplog):
    found.leaked = 12
    with caplog.at_level(logging.WARNING):
        gate(add_bad(found, 2))
    assert "2 bad records were set aside" in caplog.text
    assert "report/quarantine.jsonl" in caplog.text
    assert "12 images of `val` are in `train` too" in caplog.text


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda report: report.faults.update({"train/x": "cut short"}), "damaged"),
        (lambda report: report.shards.popitem(), "missing val/val-00001-of-00002"),
        (lambda report: add_bad(report, 99), "99 bad records, .* 10.000%"),
        (lambda report: add_bad(report, 9, label=3), "9 of the 68 records with label 3"),
        (lambda report: report.classes["val"].popitem(), "val lacks 1 of 3"),
        (lambda report: setattr(report, "num_classes", 4), "train lacks 1 of 4 classes"),
    ],
)
def test_node_stops_the_run(gate, found, change, message):
    change(found)
    with pytest.raises(DataError, match=message):
        gate(found)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"max_bad_share": 0.0}, "2 bad records"),
        ({"require_all_classes": True}, "lacks 1 of 4 classes"),
        ({"data": "/nowhere"}, None),
    ],
)
def test_node_uses_its_parameters(gate, found, parameters, message):
    parameters = {"require_all_classes": False, **parameters}
    found.num_classes = 4
    add_bad(found, 2)
    if message:
        with pytest.raises(DataError, match=message):
            gate(found, **parameters)
    else:
        found.shards = shards_of(1, 1)  # not those of the manifest
        gate(found, **parameters)


def test_refusal_has_the_command_that_takes_most_of_the_bad_records():
    report = report_of({1: 5}, {2: 5})
    add_bad(report, 3, conversion="--image-key a --label-key b")
    add_bad(report, 2, conversion="")
    add_bad(report, 9)
    assert (
        "\n`python -m dataprep tfrecords --source data --output data-converted --image-key a "
        "--label-key b` makes shards in this format of such records.\n"
    ) in refusal(report, 0.001)
    assert "dataprep" not in refusal(add_bad(report_of({1: 5}, {2: 5}), 9), 0.001)


def test_label_0_is_refused_however_few_records_have_it():
    """Of many classes one is less than any budget, and it would be lost."""
    report = report_of({1: 10**6}, {2: 10**6})
    check_labels(add_bad(report, 9), "data")
    add_bad(report, 1, reason=LABEL_0)
    with pytest.raises(DataError) as refused:
        check_labels(report, "data")
    assert str(refused.value).startswith(
        "data: 1 records have the label 0: labels count from 0 here, from 1 in this format. "
        "`python -m dataprep tfrecords --source data --output data-converted --label-base 0` makes"
    )
