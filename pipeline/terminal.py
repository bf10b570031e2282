"""The screen for people, the log file for everything else."""

import contextlib
import logging
import os
from collections.abc import Iterator
from pathlib import Path

import rich.console

from cli.redirection import output_to

OWN_PACKAGES = ("components", "dataprep", "dataset", "models", "pipeline", "served_model")


class ConsoleHandler(logging.Handler):
    """Prints the messages of log records, each on one line however narrow the terminal is."""

    def __init__(self, console: rich.console.Console) -> None:
        super().__init__()
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        """Called by `logging`."""
        self._console.print(record.getMessage(), markup=False)


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
        os.fdopen(os.dup(1), "w") as terminal,
        output_to(file.fileno()),
    ):
        console = rich.console.Console(file=terminal, highlight=False, soft_wrap=True)
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
