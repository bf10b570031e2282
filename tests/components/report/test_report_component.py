import json
from pathlib import Path

import pytest

from components.report import keys
from components.report.component import Executor
from pipeline.config import Config


@pytest.fixture
def report(tmp_path):
    """Function: summary's file → the page and the card of a run that left nothing."""

    def report(summary: str) -> tuple[str, str]:
        outputs = {key: [keys.ReportFile()] for key in (keys.PAGE, keys.CARD)}
        for key, [artifact] in outputs.items():
            artifact.uri = str(tmp_path / key)
        parameters = {
            "config": json.dumps(Config().told()),
            "epochs": 77,
            "learning_rate": 0.125,
            "summary": summary,
        }
        Executor().Do({}, outputs, parameters)
        page, card = (Path(outputs[key][0].uri).read_text("utf-8") for key in outputs)
        return page, card

    return report


def test_report_of_what_a_cluster_left_without_a_runner(report):
    page, card = report("")
    assert "<h1>FishNet run:" in page
    assert "partial" in page
    assert "The same run again" not in page
    assert "77 epochs" in card
    assert "learning rate 0.125" in card


def test_report_tells_what_the_runner_knows(report, tmp_path):
    known = {
        "verdict": "failed",
        "message": "OSError: No space left on device",
        "started": "2026-11-26 12:00:00+00:00",
        "command": "python local_runner.py --trainer.epochs 77",
        "metrics": {},
        "thresholds": {},
        "trials": [],
        "serving": None,
        "components": {"Trainer": {"seconds": 12.5, "cached": False, "peak_mb": 512}},
        "data": "data/digits",
        "model_version": None,
        "serving_model": None,
        "log": "logs/1.log",
    }
    file = tmp_path / "summary.json"
    file.write_text(json.dumps(known))
    page, card = report(str(file))
    for text in (known["message"], known["command"], known["started"], "12.5", "512"):
        assert text in page
    assert known["message"].split(":")[0] in card
