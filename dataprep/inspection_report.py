"""`python -m dataprep inspect`: tables on the screen, images on a contact sheet."""

import itertools
from collections import Counter
from collections.abc import Collection
from pathlib import Path
from statistics import median_low

from PIL import Image
from rich.console import Console
from rich.filesize import decimal

from components import record
from components.classes import lacked
from components.dataset import read_dataset
from dataprep import contact_sheet
from dataprep.errors import UsageError
from dataprep.inspection import Inspection, SplitFacts, inspect, read_image
from dataprep.terminal import opened, reading, screen, table

MOST_CLASSES = 20  # that the screen and the sheet show; of more, some are chosen
COLUMNS = {record.TRAIN: 6, record.VAL: 4}  # of the sheet


def report(folder: Path, sheet: Path, *, all_classes: bool) -> None:
    """Reads a data set, prints its tables and draws its contact sheet.

    Args:
        folder: The data set's.
        sheet: The PNG file to write.
        all_classes: Whether to print every class, however many there are.

    Raises:
        DataError: The folder is no whole data set.
        UsageError: There is no such folder, or the sheet cannot be written.
        PreparationError: The folder cannot be read.
    """
    if not sheet.absolute().parent.is_dir():
        raise UsageError(f"--contact-sheet {sheet}: no such folder")
    with opened(folder):
        dataset = read_dataset(folder)
        with reading(itertools.chain(*dataset.shards.values())) as advance:
            found = inspect(dataset, advance)
        drawn = draw_contact_sheet(found)
    show(found, screen(), all_classes=all_classes)
    try:
        drawn.save(sheet, "PNG")
    except OSError as error:
        raise UsageError(
            f"--contact-sheet {sheet}: cannot be written ({error.strerror})"
        ) from error
    screen().print(f"contact sheet: {sheet}")


def show(found: Inspection, console: Console, *, all_classes: bool) -> None:
    """Prints the tables."""
    console.print(str(found.dataset.path))
    _show_records(found, console)
    _show_classes(found, console, all_classes)
    last = len(found.dataset.class_names or ()) or max(found.labels, default=0)
    for split, facts in found.splits.items():
        if lacks := lacked(
            facts.labels.keys(), last, lambda label: found.name(label) or str(label)
        ):
            console.print(f"{split} lacks {lacks}")
    if unusable := sum(facts.unusable for facts in found.splits.values()):
        console.print(
            f"records without a readable image or label: {unusable:,}; "
            "`python -m dataprep verify` names them"
        )


def draw_contact_sheet(found: Inspection) -> Image.Image:
    """Draws images of up to `MOST_CLASSES` classes, evenly chosen."""
    rows = []
    for label in _evenly(found.labels):
        counts = ", ".join(
            f"{facts.labels[label]:,} {split}" for split, facts in found.splits.items()
        )
        images = {
            split: [read_image(place) for place in facts.samples.get(label, [])]
            for split, facts in found.splits.items()
        }
        name = found.name(label) or f"label {label}"
        rows.append(contact_sheet.Row(name, f"label {label}: {counts}", images))
    return contact_sheet.draw(rows, COLUMNS)


def _evenly(labels: list[int]) -> list[int]:
    """Up to `MOST_CLASSES` of the labels, the first and the last among them."""
    if len(labels) <= MOST_CLASSES:
        return labels
    step = (len(labels) - 1) / (MOST_CLASSES - 1)
    return [labels[round(index * step)] for index in range(MOST_CLASSES)]


def _show_records(found: Inspection, console: Console) -> None:
    shown = table("", *found.splits, numbers=1)
    columns = [
        _facts(facts, [shard.stat().st_size for shard in found.dataset.shards[split]])
        for split, facts in found.splits.items()
    ]
    for row in columns[0]:
        shown.add_row(row, *(column[row] for column in columns))
    console.print(shown)


def _facts(facts: SplitFacts, shards: list[int]) -> dict[str, str]:
    """The split's column: row → what is in it."""
    return {
        "shards": f"{len(shards):,}",
        "records": f"{facts.labels.total() + facts.unusable:,}",
        "size": decimal(sum(shards)),
        "classes": f"{len(facts.labels):,}",
        "records a class": _spread(facts.labels.values()),
        "width, pixels": _spread(facts.widths),
        "height, pixels": _spread(facts.heights),
        "image, bytes": _spread(facts.encoded),
        "format": _shares(facts.formats),
        "colours": _shares(facts.colors),
    }


def _spread(numbers: Collection[int]) -> str:
    """Least / median / greatest, or the one that all are."""
    if not numbers:
        return "–"
    least, greatest = min(numbers), max(numbers)
    if least == greatest:
        return f"{least:,}"
    return f"{least:,} / {median_low(numbers):,} / {greatest:,}"


def _shares(found: Counter[str]) -> str:
    """Each kind, the most frequent first, with its number if there are several."""
    if len(found) == 1:
        return next(iter(found))
    return ", ".join(f"{kind} {number:,}" for kind, number in found.most_common()) or "–"


def _show_classes(found: Inspection, console: Console, all_classes: bool) -> None:
    """The number of records of each class; of many classes, of the smallest and the largest."""
    shown = table("label", "class", *found.splits, numbers=2)

    def add(labels: list[int]) -> None:
        for label in labels:
            counts = (f"{facts.labels[label]:,}" for facts in found.splits.values())
            shown.add_row(str(label), found.name(label), *counts)

    labels = found.labels
    if all_classes or len(labels) <= MOST_CLASSES:
        add(labels)
    else:
        by_size = sorted(labels, key=lambda label: found.splits[record.TRAIN].labels[label])
        add(by_size[: MOST_CLASSES // 2])
        shown.add_row("…", f"{len(labels) - MOST_CLASSES:,} classes between: --all")
        add(by_size[-MOST_CLASSES // 2 :])
    console.print(shown)
