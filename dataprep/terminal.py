"""What the commands show: the screen, tables, progress; and what is kept off the screen."""

import contextlib
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from rich import box, progress
from rich.console import Console
from rich.table import Table
from rich.text import Text

from cli.redirection import output_to
from dataprep.errors import PreparationError, UsageError

Advance = Callable[[int], None]  # is called with each number of bytes that was read


def screen() -> Console:
    """The console of stdout, which prints class and file names as they are."""
    return Console(highlight=False, markup=False, emoji=False, soft_wrap=True)


def table(*headers: str, numbers: int) -> Table:
    """A table without rows, whose columns from `numbers` on are right-aligned."""
    made = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for index, header in enumerate(headers):
        made.add_column(header, justify="right" if index >= numbers else "left")
    return made


@contextlib.contextmanager
def opened(folder: Path) -> Iterator[None]:
    """Raises what a user is to know of a data set's folder that cannot be read.

    Raises:
        UsageError: There is no such folder.
        PreparationError: The system does not let it be read.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder")
    try:
        yield
    except OSError as error:
        raise PreparationError(f"{folder} cannot be read: {error}") from error


@contextlib.contextmanager
def reading(shards: Iterable[Path]) -> Iterator[Advance]:
    """Shows how much is read, how fast, and the time left, where stderr is a terminal.

    Args:
        shards: The files that are read meanwhile.
    """
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda _: None
        return
    columns = (
        progress.BarColumn(),
        progress.DownloadColumn(),
        progress.TransferSpeedColumn(),
        progress.TimeRemainingColumn(),
    )
    with progress.Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=sum(shard.stat().st_size for shard in shards))
        yield lambda read: bar.advance(task, read)


INTERVAL = 0.5  # s, between two looks at what others have done


class Rate(progress.ProgressColumn):
    """What is done a second."""

    def render(self, task: progress.Task) -> Text:
        """Called by rich."""
        return Text(f"{task.finished_speed or task.speed or 0:,.0f} {task.fields['unit']}/s")


@contextlib.contextmanager
def showing(title: str, total: float, unit: str) -> Iterator[Callable[[float], None]]:
    """Shows a bar where stderr is a terminal; else, and at the end, a line.

    Args:
        title: What is done, e.g. "Writing".
        total: How much there is to do.
        unit: Of `total`, e.g. "images".

    Yields:
        A function to be called with how much is done.
    """
    begin = time.monotonic()
    # A descriptor of its own, for stderr may be sent elsewhere meanwhile.
    with os.fdopen(os.dup(2), "w") as stderr:
        console = Console(file=stderr, highlight=False, soft_wrap=True)
        if not console.is_terminal:
            console.print(f"{title} {total:,.0f} {unit}")
        columns = (
            progress.TextColumn("{task.description}"),
            progress.BarColumn(),
            progress.TextColumn("{task.completed:,.0f}/{task.total:,.0f} {task.fields[unit]}"),
            Rate(),
            progress.TimeRemainingColumn(),
        )
        with progress.Progress(
            *columns, console=console, transient=True, disable=not console.is_terminal
        ) as bar:
            task = bar.add_task(title, total=total, unit=unit)
            yield lambda done: bar.update(task, completed=min(done, total))
        seconds = time.monotonic() - begin
        console.print(
            f"{title}: {total:,.0f} {unit} in {seconds:,.1f} s, {total / seconds:,.0f} {unit}/s"
        )


@contextlib.contextmanager
def watching(look: Callable[[], None]) -> Iterator[None]:
    """Calls `look` every half a second meanwhile."""
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(INTERVAL):
            look()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


@contextlib.contextmanager
def quiet() -> Iterator[Path]:
    """Sends all that this process and its children write to stdout and stderr to a log file.

    Yields:
        The log file. It is kept when there is an error.
    """
    descriptor, name = tempfile.mkstemp(prefix="dataprep-", suffix=".log")
    log = Path(name)
    try:
        with output_to(descriptor):
            yield log
    except KeyboardInterrupt:
        log.unlink()
        raise
    else:
        log.unlink()
    finally:
        os.close(descriptor)
