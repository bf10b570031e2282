"""Tells on stderr how far long work is, how fast it goes and how long it will take."""

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator

from rich import progress
from rich.console import Console
from rich.text import Text

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
