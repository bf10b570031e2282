"""The screen for people, the log file for everything else."""

import contextlib
import io
import logging
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, cast

import rich.console
from rich.console import RenderableType
from rich.live import Live
from rich.spinner import Spinner

from cli.duration import format_duration
from cli.redirection import output_to

logger = logging.getLogger("terminal")  # to the log file alone

OWN_PACKAGES = ("components", "dataprep", "dataset", "models", "pipeline", "served_model")


class Terminal(io.TextIOBase):
    """What the console writes to. What cannot be written there, as to a closed pipe, is logged.

    Args:
      descriptor: Open for writing.
    """

    encoding = sys.__stdout__.encoding if sys.__stdout__ else "utf-8"

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._is_lost = False

    def write(self, text: str) -> int:
        """See the base class."""
        data = text.encode(self.encoding, "replace")
        try:
            while data and not self._is_lost:
                data = data[os.write(self._descriptor, data) :]
        except OSError as error:
            self._is_lost = True
            logger.warning(f"stdout: {error.strerror}; the run goes on, and its lines are here")
        if self._is_lost:
            sys.stderr.write(text)  # the log
        return len(text)

    def isatty(self) -> bool:
        """See the base class."""
        return os.isatty(self._descriptor)

    def fileno(self) -> int:
        """See the base class."""
        return self._descriptor


class ConsoleHandler(logging.Handler):
    """Prints the messages of log records, each on one line however narrow the terminal is."""

    def __init__(self, console: rich.console.Console) -> None:
        super().__init__()
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        """Called by `logging`."""
        self._console.print(record.getMessage())


@contextlib.contextmanager
def screen(log: Path) -> Iterator[rich.console.Console]:
    """Gives the terminal to the console it yields, and everything else to the file `log`.

    All that this process writes to stdout and stderr goes to `log`, also what C++ libraries and
    child processes write. Of Python's log records those of our own packages go to both.

    Args:
      log: Appended to.
    """
    with (
        log.open("a", encoding="utf-8") as file,
        _duplicate(1) as descriptor,
        output_to(file.fileno()),
    ):
        console = rich.console.Console(
            file=cast(IO[str], Terminal(descriptor)),
            highlight=False,
            markup=False,
            emoji=False,
            soft_wrap=True,
        )
        handler = ConsoleHandler(console)
        logging.basicConfig(
            level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", force=True
        )
        for package in OWN_PACKAGES:
            logging.getLogger(package).addHandler(handler)
        try:
            yield console
        finally:
            for package in OWN_PACKAGES:
                logging.getLogger(package).removeHandler(handler)


def working(console: rich.console.Console, text: str, last: float | None = None) -> Live:
    """A context in which a terminal shows that `text` is being done, and for how long.

    `console.status` would take stdout and stderr over from the log.

    Args:
      console: Of the terminal.
      text: What.
      last: Seconds that it took the last time, if that is known: what is left may be guessed.
    """
    spinner = Spinner("dots", cast(RenderableType, _Elapsed(text, last)), style="status.spinner")
    return Live(
        spinner, console=console, transient=True, redirect_stdout=False, redirect_stderr=False
    )


class _Elapsed:
    """A text and, each time that it is drawn, how long ago it was made."""

    def __init__(self, text: str, last: float | None) -> None:
        self._text = text
        self._last = "" if last is None else f", {format_duration(last)} the last time"
        self._started = time.monotonic()

    def __rich__(self) -> str:
        return f"{self._text} {format_duration(time.monotonic() - self._started)}{self._last}"


@contextlib.contextmanager
def _duplicate(descriptor: int) -> Iterator[int]:
    copy = os.dup(descriptor)
    try:
        yield copy
    finally:
        os.close(copy)
