"""What a command that makes a data set prints at its end."""

import json
import shlex
from collections.abc import Mapping
from typing import Any

from cli import streams
from dataprep.storage import open_file
from dataset import record
from dataset.errors import listed

MOST_CLASSES = 20  # that are listed


def tell(output: str, written: bool, flags: str = "") -> None:
    """Prints what there is now: records, classes, what was left out; and the next command.

    Args:
        output: The data set's folder.
        written: Whether it was written, or was there already.
        flags: Of the next command, each with a space behind it.
    """
    with open_file(f"{output}/{record.MANIFEST_FILE}") as file:
        manifest = json.load(file)
    with open_file(f"{output}/{record.LABELS_FILE}") as file:
        names = file.read().decode().splitlines()
    lines = [f"{output}: {'written' if written else 'holds this data set already, left as it is'}"]
    for name, split in manifest["splits"].items():
        lines.append(f"  {name}: {split['records']:,} records in {len(split['shards'])} shards")
    lines += _classes(manifest["splits"], manifest["synsets"], names, output)
    if files := [image["file"] for image in manifest["left_out"]]:
        lines.append(
            f"  left out: {len(files):,} images that cannot be used, {listed(files)}; "
            f"{record.MANIFEST_FILE} has the reasons"
        )
    if files := [image["file"] for image in manifest["doubtful"]]:
        lines.append(
            f"  doubtful: {len(files):,} images that were taken and may be damaged, "
            f"{listed(files)}; {record.MANIFEST_FILE} has the reasons"
        )
    lines.append(f"Next: python local_runner.py {flags}--data {shlex.quote(output)}")
    streams.tell("\n".join(lines))


def _classes(
    splits: Mapping[str, Any], synsets: list[str], names: list[str], output: str
) -> list[str]:
    """The classes' names in label order, with the number of records in each split."""
    lines = [f"  classes: {len(synsets):,} ({', '.join(splits)})"]
    for synset, name in list(zip(synsets, names, strict=True))[:MOST_CLASSES]:
        counts = ", ".join(f"{split['classes'][synset]:,}" for split in splits.values())
        lines.append(f"    {name} ({counts})")
    if len(synsets) > MOST_CLASSES:
        lines.append(
            f"    and {len(synsets) - MOST_CLASSES:,} more: "
            f"python -m dataprep inspect {shlex.quote(output)} --all"
        )
    return lines
