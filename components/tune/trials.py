"""What came of the trials: kept while the search goes on, and a table of them at its end."""

import dataclasses
import hashlib
import json
import logging
from collections.abc import Iterable, Mapping
from typing import Any

from tfx.dsl.io import fileio

from components.train.storage import read_file, write_file

TRIALS_FILE = "trials.json"  # beside TFX's `tuner_results.json`, which has the trained ones alone

TRAINED = "trained"
DIVERGED = "diverged"

logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Trial:
    """What came of a combination of values.

    Attributes:
      values: By section and field of the config, e.g. `trainer.learning_rate`.
      parameters: Number of the network's weights.
      latency_ms: Median time for one image on this machine's CPU, milliseconds.
      val_top1: Top-1 on the validation split after the last epoch; None if it was not trained.
      seconds: That the training took.
      status: `trained`, `diverged`, or the limit that it is over.
    """

    values: Mapping[str, Any]
    parameters: int
    latency_ms: float
    val_top1: float | None
    seconds: float
    status: str


class FinishedTrials:
    """The trials of a search that are finished: whoever starts it again need not run them again.

    Each is a file of its own, which is there whole or not at all.

    Args:
      folder: Folder, or URI in an object store, that this search, and no other, finds again; they
        are only remembered if it is empty.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._trials: dict[str, Trial] = {}

    def find(self, values: Mapping[str, Any]) -> Trial | None:
        """The trial of a combination of values, if it is finished."""
        name = _file_name(values)
        if name not in self._trials and self._folder:
            trial = _load(f"{self._folder}/{name}")
            if trial:
                self._trials[name] = trial
        return self._trials.get(name)

    def add(self, trial: Trial) -> None:
        """Keeps a trial.

        Raises:
          OSError: It could not be written.
        """
        name = _file_name(trial.values)
        self._trials[name] = trial
        if self._folder:
            write_file(f"{self._folder}/{name}", json.dumps(dataclasses.asdict(trial)).encode())

    def ranked(self) -> list[Trial]:
        """The best first; those that were not trained to their end come last."""
        return sorted(
            self._trials.values(),
            key=lambda t: -1.0 if t.val_top1 is None else t.val_top1,
            reverse=True,
        )


def write_trials(uri: str, trials: Iterable[Trial]) -> None:
    """Writes trials into the artifact at `uri`; `read_trials` reads them."""
    with fileio.open(f"{uri}/{TRIALS_FILE}", "w") as file:
        file.write(json.dumps([dataclasses.asdict(trial) for trial in trials], indent=1))


def read_trials(uri: str) -> list[Trial]:
    """The trials inside a `tuner_results` artifact at `uri`, in the order of `write_trials`."""
    with fileio.open(f"{uri}/{TRIALS_FILE}") as file:
        return [Trial(**fields) for fields in json.loads(file.read())]


def table(trials: list[Trial]) -> str:
    """A line for each trial, in columns under a heading.

    Args:
      trials: One at least, in order; all have values of the same fields.
    """
    fields = list(trials[0].values)
    rows = [
        ["rank", *fields, "parameters", "latency", "val_top1", "time", "status"],
        *(
            [
                "-" if trial.val_top1 is None else str(rank),
                *(str(trial.values[field]) for field in fields),
                f"{trial.parameters:,}",
                f"{trial.latency_ms:.1f} ms",
                "-" if trial.val_top1 is None else f"{trial.val_top1:.4f}",
                f"{trial.seconds:.0f} s",
                trial.status,
            ]
            for rank, trial in enumerate(trials, 1)
        ),
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.rjust(width) for cell, width in zip(row[:-1], widths, strict=False))
        + f"  {row[-1]}"
        for row in rows
    )


def _file_name(values: Mapping[str, Any]) -> str:
    digest = hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
    return f"trial-{digest[:16]}.json"


def _load(path: str) -> Trial | None:
    """The trial in a file; none if there is no file, or one that cannot be read."""
    if not fileio.exists(path):
        return None
    content = read_file(path)
    try:
        return Trial(**json.loads(content))
    except (ValueError, TypeError):
        logger.warning(f"{path}: this trial has not the content that was written; it runs again")
        return None
