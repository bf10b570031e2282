"""What is known of an output folder's earlier runs."""

from pathlib import Path

import pytest

from pipeline.runs import INDEX_FILE, RUNS, SUMMARY_FILE, last_seconds, write_index, write_summary


def ran(output: Path, name: str, **nodes: tuple[float, bool]) -> None:
    """Writes the summary of a run whose nodes took these seconds, or were taken from the cache."""
    told = {
        node: {"seconds": seconds, "cached": cached} for node, (seconds, cached) in nodes.items()
    }
    config = {"model.name": "fishnet_tiny", "trainer.epochs": "1"}
    summary = {"verdict": "pushed", "started": f"at {name}", "config": config, "components": told}
    write_summary(output, name, {**summary, "metrics": {}, "examples": {}, "model_version": None})


def test_node_took_what_it_did_when_it_was_last_carried_out(tmp_path):
    ran(tmp_path, "20261126-120000", StatisticsGen=(9.0, False), Trainer=(60.0, False))
    ran(tmp_path, "20261127-120000", StatisticsGen=(8.0, False), Trainer=(0.1, True))
    ran(tmp_path, "20261127-130000", StatisticsGen=(0.1, True))
    assert last_seconds(tmp_path) == {"StatisticsGen": 8.0, "Trainer": 60.0}


def test_nothing_is_known_of_a_new_folder(tmp_path):
    assert last_seconds(tmp_path) == {}


@pytest.mark.parametrize("text", [None, "{", "[]", '{"components": {}}'])
def test_what_is_no_run_is_left_out(tmp_path, text):
    ran(tmp_path, "20261127-120000", Trainer=(60.0, False))
    other = tmp_path / RUNS / "20261127-999999"
    other.mkdir()
    if text:
        (other / SUMMARY_FILE).write_text(text)
    assert last_seconds(tmp_path) == {"Trainer": 60.0}
    write_index(tmp_path)
    index = (tmp_path / INDEX_FILE).read_text("utf-8")
    assert "at 20261127-120000" in index
    assert "20261127-999999" not in index
