"""Shows what is in an output folder of local runs, and removes what nothing needs any more."""

import datetime
import sys
from collections import defaultdict
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console
from rich.table import Table

from cli.disk import folder_bytes
from cli.ending import fail
from cli.streams import prepare_streams, tell
from components.report.verdict import Verdict
from pipeline.cleaning import leftovers, pushed_models, remove
from pipeline.command_line import usage_error
from pipeline.history import PUSHED_MODEL, History, Run, int_property
from pipeline.nodes import PUSHER, REPORT
from pipeline.output_lock import lock
from pipeline.run_record import RecordError, has_record
from served_model.interface import MODEL_NAME
from served_model.versions import VersionFolder

MOST_RUNS = 10  # that are shown
MOST_DAYS = 36_500  # a century; the calendar, from which they are counted back, has a beginning
MEGABYTE = 1e6

app = tyro.extras.SubcommandApp()

DryRun = tyro.conf.FlagCreatePairsOff[bool]
Output = Annotated[Path, tyro.conf.arg(metavar="DIR")]


@app.command
def status(output: Output) -> None:
    """Show runs, champion, pushed versions, and what takes how much of the disk. Changes nothing.

    Args:
        output: The output folder, e.g. output/digits.
    """
    history, versions = _open(output)
    console = Console(highlight=False, markup=False, emoji=False)
    console.print(_runs_table(history))
    if len(history.runs) > MOST_RUNS:
        console.print(f"and {len(history.runs) - MOST_RUNS} older ones")
    console.print(_versions_table(versions))
    console.print(_champion(history, versions), soft_wrap=True)
    console.print(_disk_table(output))


@app.command
def clean(
    output: Output, keep_runs: int = 3, older_than: float = 0, dry_run: DryRun = False
) -> None:
    """Remove artifacts of earlier runs that nothing needs any more.

    What stays: all that the newest runs took or made, and the newest one that came to Pusher; the
    champion; the models of the pushed versions; and everything but artifacts.

    Args:
        output: The output folder, e.g. output/digits.
        keep_runs: The newest runs whose artifacts, the cache, stay.
        older_than: Days; remove only what was made before.
        dry_run: Say what would be removed; remove nothing.
    """
    if keep_runs < 1:
        usage_error(
            f"--keep-runs must be 1 or more: the last run's is the cache. Received: {keep_runs}"
        )
    if not 0 <= older_than <= MOST_DAYS:
        usage_error(
            f"--older-than must be a number of days, 0 to {MOST_DAYS:,}. Received: {older_than}"
        )
    _open(output)
    with lock(output):
        history, versions = _open(output, change=not dry_run)
        age = datetime.timedelta(days=older_than)
        found = leftovers(output, history, versions, keep_runs, age)
        if not dry_run:
            remove(history, found)
    nodes: dict[str, list[int]] = defaultdict(list)
    for leftover in found:
        nodes[leftover.node].append(leftover.bytes)
    for node, sizes in sorted(nodes.items()):
        tell(f"{node:<21} {len(sizes):>4} artifacts {_mb(sum(sizes)):>10} MB")
    done = "would be removed" if dry_run else "removed"
    total = _mb(sum(leftover.bytes for leftover in found))
    tell(f"{len(found)} artifacts {done}, {total} MB" if found else "nothing to remove")


def _open(output: Path, change: bool = False) -> tuple[History, VersionFolder]:
    """What is known of the folder; a usage error if it has had no run."""
    if not has_record(output):
        usage_error(f"--output {output}: no output folder of a run, which has a metadata.db")
    return History(output, change), VersionFolder(output / "serving" / MODEL_NAME)


def _runs_table(history: History) -> Table:
    table = Table("run", "nodes", "cached", "end")
    for run in reversed(history.runs[:MOST_RUNS]):
        table.add_row(
            _minute(run.started), str(len(run.nodes)), str(run.cached), _end(run, history)
        )
    return table


def _end(run: Run, history: History) -> str:
    """How a run ended, as far as it is recorded."""
    if run.unfinished:
        return f"not beyond {run.unfinished}"
    if PUSHER not in run.nodes:
        done = [node for node in run.nodes if node != REPORT]
        return f"with {done[-1]}" if done else "before any node"
    [*_, pushed] = [a for a in history.of_type(PUSHED_MODEL) if a.id in run.artifacts]
    if not int_property(pushed, "pushed"):
        return "nothing pushed"
    how = Verdict.UNCHANGED if int_property(pushed, "unchanged") else Verdict.PUSHED
    return f"{how.value} {pushed.custom_properties['pushed_version'].string_value}"


def _versions_table(versions: VersionFolder) -> Table:
    table = Table("version", "pushed, UTC", "top-1", "run", "MB", "")
    numbers = versions.versions()
    for number in numbers:
        receipt = versions.receipt(number)
        top1 = receipt.metrics.get("top1") if receipt else None
        table.add_row(
            str(number),
            _minute(receipt.pushed_at) if receipt else "–",
            "–" if top1 is None else f"{top1:.4f}",
            _minute(receipt.run) if receipt else "–",
            _mb(folder_bytes(versions.path / str(number))),
            "served" if number == numbers[-1] else "",
        )
    return table


def _champion(history: History, versions: VersionFolder) -> str:
    champion = history.champion()
    if not champion:
        return "champion   none: no model has been blessed yet"
    if not Path(champion.uri).is_dir():
        return f"champion   gone: {champion.uri}"
    served = "" if champion.id in pushed_models(history, versions) else ", of no pushed version"
    return f"champion   {champion.uri}{served}"


def _disk_table(output: Path) -> Table:
    """The output folder's folders, the greatest first."""
    sizes = {
        item.name: folder_bytes(item) if item.is_dir() else item.lstat().st_size
        for item in output.iterdir()
    }
    table = Table("on the disk", "MB")
    for name in sorted(sizes, key=lambda name: -sizes[name]):
        table.add_row(name, _mb(sizes[name]))
    table.add_row("together", _mb(sum(sizes.values())))
    return table


def _minute(time: str) -> str:
    """A time in ISO 8601 for people."""
    return time[: len("2026-11-26T19:11")].replace("T", " ")


def _mb(size: int) -> str:
    return f"{size / MEGABYTE:,.1f}"


def main() -> None:
    """Runs a command: exit code 0 done, 2 wrong usage, 1 anything else."""
    prepare_streams()
    try:
        app.cli(prog="python -m pipeline.output", description=__doc__)
    except (RecordError, OSError) as error:
        fail(str(error), Verdict.FAILED.exit_code)
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        sys.exit(Verdict.FAILED.exit_code)


if __name__ == "__main__":
    main()
