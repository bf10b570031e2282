"""Lists, rolls back and prunes the versions of a model in the folder that TF Serving polls."""

import sys
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console
from rich.table import Table

from cli.disk import folder_bytes
from cli.ending import fail
from cli.streams import prepare_streams
from served_model.receipt import Receipt
from served_model.versions import VersionError, VersionFolder

app = tyro.extras.SubcommandApp()

Folder = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="FOLDER")]
Version = Annotated[int | None, tyro.conf.arg(metavar="VERSION")]


class UsageError(Exception):
    """The command line asks for what cannot be."""


@app.command(name="list")
def list_versions(folder: Folder) -> None:
    """List the versions, oldest first. TF Serving serves the last.

    Args:
        folder: The folder of versions, e.g. output/digits/serving/fishnet.
    """
    versions = _open(folder)
    table = Table("version", "pushed, UTC", "model", "top-1", "MB", "")
    numbers = versions.versions()
    for number in numbers:
        receipt = versions.receipt(number) or Receipt(model_digest="")
        top1 = receipt.metrics.get("top1")
        notes = [f"copy of {receipt.copy_of}"] if receipt.copy_of is not None else []
        notes += ["served"] if number == numbers[-1] else []
        table.add_row(
            str(number),
            receipt.pushed_at.removesuffix("+00:00").replace("T", " ") or "–",
            receipt.model_digest[:12] or "–",
            "–" if top1 is None else f"{top1:.4f}",
            f"{folder_bytes(folder / str(number)) / 1e6:,.1f}",
            ", ".join(notes),
        )
    Console().print(table)


@app.command
def rollback(folder: Folder, to: Version = None) -> None:
    """Serve an older version's model again, as a new version.

    Args:
        folder: The folder of versions, e.g. output/digits/serving/fishnet.
        to: The older version. Default: the one before the one that is served.
    """
    version = _open(folder).rollback(to)
    sys.stdout.write(f"{folder / str(version)} is the newest version now\n")


@app.command
def prune(folder: Folder, keep: int) -> None:
    """Delete the oldest versions.

    Args:
        folder: The folder of versions, e.g. output/digits/serving/fishnet.
        keep: How many of the newest versions stay.
    """
    if keep < 1:
        raise UsageError(f"--keep must be 1 or more, for the newest is served. Received: {keep}")
    pruned = _open(folder).prune(keep)
    sys.stdout.write(f"deleted: {', '.join(map(str, pruned)) or 'none'}\n")


def _open(folder: Path) -> VersionFolder:
    """The versions in `folder`; a usage error if there are none."""
    if not folder.is_dir():
        hint = ": only folders can be worked on, not object stores" if ":/" in str(folder) else ""
        raise UsageError(f"{folder}: no such folder{hint}")
    versions = VersionFolder(folder)
    if not versions.versions():
        raise UsageError(f"{folder} holds no versions; give the folder of the numbered ones")
    return versions


def main() -> None:
    """Runs a command: exit code 0 done, 2 wrong usage or no such version, 1 anything else."""
    prepare_streams()
    try:
        app.cli(prog="python -m serving.versions", description=__doc__)
    except (UsageError, VersionError) as error:
        fail(str(error), 2)
    except OSError as error:
        fail(str(error), 1)
    except KeyboardInterrupt:
        fail("interrupted", 1)


if __name__ == "__main__":
    main()
