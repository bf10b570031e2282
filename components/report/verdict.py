"""How a run ended, and the exit code that says so."""

import enum


class Verdict(str, enum.Enum):
    """How a run ended; the value is what `summary.json` says."""

    PUSHED = "pushed"
    UNCHANGED = "unchanged"
    PARTIAL = "partial"  # `--to` ended it before Pusher
    NOT_BLESSED = "not_blessed"
    DATA_REFUSED = "data_refused"
    SERVING_REFUSED = "serving_refused"
    FAILED = "failed"

    @property
    def exit_code(self) -> int:
        """The process's exit code."""
        return {
            Verdict.PUSHED: 0,
            Verdict.UNCHANGED: 0,
            Verdict.PARTIAL: 0,
            Verdict.NOT_BLESSED: 3,
            Verdict.DATA_REFUSED: 4,
            Verdict.SERVING_REFUSED: 5,
            Verdict.FAILED: 1,
        }[self]
