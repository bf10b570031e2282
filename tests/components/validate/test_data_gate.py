"""DataGate as a node: what it lets pass and tells of, and what stops the run."""

import logging
from pathlib import Path

import pytest
from data_reports import CLASSES, add_bad, report_of, shards_of

from components.ingest.report import REPORT_FILE, DataReport, Report
from components.validate.data_gate import (
    DataGate,
)
from dataset.errors import DataError


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
