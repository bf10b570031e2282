"""Runs the commands as a user does: in processes of their own, in a folder of the user's."""

import dataclasses
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from served_model.versions import LOCK_FILE

ROOT = Path(__file__).parents[1]

# An epoch that is over in seconds, and a bar that every model meets.
QUICK = ("--trainer.epochs", "1", "--evaluator.min_top1", "0", "--evaluator.min_top1_gain", "-1")


@dataclasses.dataclass(frozen=True)
class Run:
    """A `local_runner.py` that has ended.

    Attributes:
        exit_code: Its exit code.
        screen: What it wrote to stdout.
        errors: What it wrote to stderr.
        output: The output folder that it was to use.
    """

    exit_code: int
    screen: str
    errors: str
    output: Path

    @property
    def summary(self) -> dict[str, Any]:
        """What `summary.json` says."""
        return json.loads((self.output / "summary.json").read_text("utf-8"))

    @property
    def cached(self) -> set[str]:
        """The components whose outputs of an earlier run were taken."""
        components = self.summary["components"]
        return {name for name, component in components.items() if component["cached"]}

    @property
    def log(self) -> Path:
        """The log file that the screen names."""
        [line] = [line for line in self.screen.splitlines() if line.startswith("log ")]
        return self.output.parents[1] / line.removeprefix("log").strip()

    def versions(self) -> list[str]:
        """Everything in the folder that TF Serving polls."""
        return versions(self.output)


def versions(output: Path) -> list[str]:
    """Everything in the folder of `output` that TF Serving polls, but for Pusher's lock file."""
    serving = output / "serving" / "fishnet"
    names = {path.name for path in serving.iterdir()} if serving.exists() else set()
    return sorted(names - {LOCK_FILE})


def start(cwd: Path, *arguments: str, prefix: Sequence[str] = ()) -> subprocess.Popen:
    """Starts `python local_runner.py` with `arguments` in the folder `cwd`.

    Args:
        cwd: The folder.
        arguments: The flags.
        prefix: A command that is given this command, as `env` is.
    """
    return subprocess.Popen(
        [*prefix, sys.executable, ROOT / "local_runner.py", *arguments],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def read_until(process: subprocess.Popen, text: str) -> str:
    """Reads what a process that `start` gave writes to stdout, up to the line with `text`."""
    lines = []
    for line in process.stdout:
        lines.append(line)
        if text in line:
            return "".join(lines)
    raise AssertionError(f"{text!r} is not in {''.join(lines)!r}, {process.stderr.read()!r}")


def wait(process: subprocess.Popen, output: Path) -> Run:
    """Waits for a `process` that `start` gave; `output` is the output folder that it uses."""
    with process:
        # Not communicate(), which would miss what read_until() has in its buffer.
        screen, errors = process.stdout.read(), process.stderr.read()
    return Run(process.returncode, screen, errors, output)


def run(cwd: Path, *arguments: str, prefix: Sequence[str] = ()) -> Run:
    """Runs `python local_runner.py` with `arguments` in `cwd`, with `cwd`/output/run as output."""
    output = cwd / "output" / "run"
    return wait(start(cwd, "--output", "output/run", *arguments, prefix=prefix), output)
