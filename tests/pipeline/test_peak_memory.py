import numpy as np

from pipeline.peak_memory import PeakMemory

SIZE = 200_000_000  # bytes


def test_peak_is_that_since_it_was_made_and_not_an_earlier_one():
    before = PeakMemory()
    np.ones(SIZE, np.uint8)  # and gone again
    after = PeakMemory()
    assert before.megabytes() is not None
    first, second = before.megabytes(), after.megabytes()
    assert first == second  # of the process, since the last one was made
    peak = PeakMemory()
    low = peak.megabytes()
    kept = np.ones(SIZE, np.uint8)
    assert peak.megabytes() - low > 0.9 * kept.nbytes / 1e6


def test_nothing_is_told_where_the_system_does_not_tell(monkeypatch, tmp_path):
    monkeypatch.setattr("pipeline.peak_memory._STATUS", tmp_path / "none")
    assert PeakMemory().megabytes() is None
