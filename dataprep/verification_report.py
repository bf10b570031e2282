"""`python -m dataprep verify`: what is wrong with a data set, on the screen."""

import time
from collections import Counter
from pathlib import Path

from rich.console import Console

from components import record
from dataprep.terminal import opened, reading, screen, table
from dataprep.verification import Verification, find_shards, verify

MOST_NAMED = 20  # bad records that are named unless all are wanted


def report(folder: Path, *, all_records: bool) -> bool:
    """Reads a data set and prints what is wrong with it.

    Args:
        folder: The data set's.
        all_records: Whether to name every bad record, however many there are.

    Returns:
        Whether nothing is wrong.

    Raises:
        UsageError: There is no such folder.
        PreparationError: The folder cannot be read.
    """
    started = time.monotonic()
    with opened(folder), reading(folder / name for name in find_shards(folder)) as advance:
        found = verify(folder, advance)
    findings = found.findings
    rate = findings.records / (time.monotonic() - started)
    console = screen()
    show(found, console, all_records=all_records)
    shards = len(findings.shards) + len(findings.damaged)
    read = f"{findings.records:,} records in {shards:,} shards ({rate:,.0f} records/s)"
    if found.good:
        console.print(f"{folder}: all good: {read}")
    else:
        bad, faults = len(findings.bad), len(found.faults)
        console.print(f"{folder}: not good: bad records: {bad:,}, other faults: {faults:,}: {read}")
    return found.good


def show(found: Verification, console: Console, *, all_records: bool) -> None:
    """Prints what is wrong."""
    for fault in found.faults:
        console.print(fault)
    bad = found.findings.bad
    if bad:
        _show_reasons(found, console)
        for one in bad if all_records else bad[:MOST_NAMED]:
            console.print(str(one))
        if len(bad) > MOST_NAMED and not all_records:
            console.print(f"… and {len(bad) - MOST_NAMED:,} more: --all names them")
    _show_repeated(found, console)


def _show_reasons(found: Verification, console: Console) -> None:
    reasons = Counter((one.problem.reason, one.split) for one in found.findings.bad)
    shown = table("bad records", *record.SPLITS, numbers=1)
    for reason in sorted({reason for reason, _ in reasons}):
        shown.add_row(reason, *(f"{reasons[reason, split]:,}" for split in record.SPLITS))
    console.print(shown)


def _show_repeated(found: Verification, console: Console) -> None:
    """Reports images that are there more than once, for which no data set is refused."""
    for split in record.SPLITS:
        if repeated := found.repeated(split):
            console.print(f"note: {split} records that repeat an image of {split}: {repeated:,}")
    if found.leaked:
        console.print(
            f"note: val records whose image is in train too: {found.leaked:,}; "
            "what a model scores on them tells nothing"
        )
