"""What is known of an output folder's earlier runs."""

from pathlib import Path

from pipeline.runs import RUNS, SUMMARY_FILE, last_seconds, write_summary


def ran(output: Path, name: str, **nodes: tuple[float, bool]) -> None:
    """Writes the summary of a run whose nodes took these seconds, or were taken from the cache."""
    told = {
        node: {"seconds": seconds, "cached": cached} for node, (seconds, cached) in nodes.items()
    }
    write_summary(output, name, {"components": told})


def test_node_took_what_it_did_when_it_was_last_carried_out(tmp_path):
    ran(tmp_path, "20261126-120000", StatisticsGen=(9.0, False), Trainer=(60.0, False))
    ran(tmp_path, "20261127-120000", StatisticsGen=(8.0, False), Trainer=(0.1, True))
    ran(tmp_path, "20261127-130000", StatisticsGen=(0.1, True))
    assert last_seconds(tmp_path) == {"StatisticsGen": 8.0, "Trainer": 60.0}


def test_nothing_is_known_of_runs_that_were_killed_or_of_a_new_folder(tmp_path):
    assert last_seconds(tmp_path) == {}
    (tmp_path / RUNS / "killed").mkdir(parents=True)
    (tmp_path / RUNS / "damaged").mkdir()
    (tmp_path / RUNS / "damaged" / SUMMARY_FILE).write_text("{")
    assert last_seconds(tmp_path) == {}
