"""What the commands that read a data set share: the screen, tables, the progress of reading."""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from rich import box, progress
from rich.console import Console
from rich.table import Table

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
