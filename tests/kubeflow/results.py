"""What became of a run, of its tasks, and of their attempts."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from google.protobuf import json_format
from kubeflow.records import Artifact, Outputs

SUCCEEDED, CACHED, FAILED, SKIPPED = "succeeded", "cached", "failed", "skipped"


@dataclasses.dataclass(frozen=True)
class Attempt:
    """One pod's work on a task.

    Attributes:
        exit_code: Of the command; None if it did not run.
        seconds: How long the command ran.
        log: All it wrote.
        error: Why the attempt failed, or None.
    """

    exit_code: int | None
    seconds: float
    log: str
    error: str | None


@dataclasses.dataclass
class TaskResult:
    """What became of a task.

    Attributes:
        name: Of the task.
        state: `SUCCEEDED`, `CACHED`, `FAILED` or `SKIPPED` (one before it failed).
        executor_input: As the command was given it; empty if it did not come so far.
        seconds: All its attempts, with their downloads and uploads.
        attempts: Its pods, none if cached.
        backoff_s: Seconds that Kubeflow would have waited before each further attempt.
        outputs: What it gave; nothing unless it succeeded or was cached.
        error: Why it failed, with the end of the log, or None.
    """

    name: str
    state: str = SKIPPED
    executor_input: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    seconds: float = 0.0
    attempts: list[Attempt] = dataclasses.field(default_factory=list)
    backoff_s: list[float] = dataclasses.field(default_factory=list)
    outputs: Outputs = dataclasses.field(default_factory=lambda: Outputs({}, {}))
    error: str | None = None

    @property
    def exit_code(self) -> int | None:
        """Exit code of the last attempt's command."""
        return self.attempts[-1].exit_code if self.attempts else None

    @property
    def log(self) -> str:
        """What the last attempt's command wrote."""
        return self.attempts[-1].log if self.attempts else ""

    @property
    def artifacts(self) -> Mapping[str, Artifact]:
        """Output artifacts by key."""
        return self.outputs.artifacts

    @property
    def parameters(self) -> dict[str, Any]:
        """Output parameters by name, as plain values."""
        return {
            name: json_format.MessageToDict(value)
            for name, value in self.outputs.parameters.items()
        }


class RunFailedError(AssertionError):
    """A run of which a task failed."""


@dataclasses.dataclass(frozen=True)
class Run:
    """A run that is over.

    Attributes:
        id: Of the run.
        root: URI below which all its outputs are.
        tasks: By name, in the order they ran.
    """

    id: str
    root: str
    tasks: Mapping[str, TaskResult]

    @property
    def succeeded(self) -> bool:
        """Whether every task succeeded or was cached."""
        return set(self.states.values()) <= {SUCCEEDED, CACHED}

    @property
    def states(self) -> dict[str, str]:
        """State of each task."""
        return {name: task.state for name, task in self.tasks.items()}

    def check(self) -> "Run":
        """Returns itself.

        Raises:
            RunFailedError: If a task failed.
        """
        for task in self.tasks.values():
            if task.state == FAILED:
                raise RunFailedError(f"task {task.name}: {task.error}")
        return self
