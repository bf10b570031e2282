"""An output folder's record: what ML Metadata knows of its runs and of the artifacts they left.

Nothing of TensorFlow is imported here.
"""

import datetime
import sqlite3
import tempfile
from pathlib import Path

METADATA_FILE = "metadata.db"  # in the output folder
ARTIFACTS = "artifacts"  # likewise

ROOM = 64 << 10  # bytes; a change of the record takes less


class RecordError(Exception):
    """The record cannot be used; the message says what to do."""


def has_record(output: Path) -> bool:
    """Whether the folder has had a run."""
    file = output / METADATA_FILE
    return file.exists() and file.stat().st_size > 0


def check_record(output: Path) -> None:
    """Refuses a record that is damaged.

    Raises:
      RecordError: It is; or it may not be read.
    """
    file = output / METADATA_FILE
    if not has_record(output):
        return
    try:
        connection = sqlite3.connect(file)
        try:
            [found] = connection.execute("PRAGMA quick_check(1)").fetchone()
        finally:
            connection.close()
    except sqlite3.Error as error:
        found = str(error)
    found = " ".join(found.split())
    if found != "ok":
        raise RecordError(
            f"{file}: the record of earlier runs cannot be read ({found}). Move it away, or put a "
            "copy back; without it every node runs again, and the pushed versions stay as they are"
        )


def check_writable(output: Path) -> None:
    """Tells why the record cannot be written, of which ML Metadata says a query only.

    Raises:
      RecordError: The disk is full, say.
    """
    try:
        with tempfile.TemporaryFile(dir=output) as file:
            file.write(bytes(ROOM))
    except OSError as error:
        raise RecordError(
            f"{output} cannot be written: {error.strerror}; once it can be, the same command goes "
            "on from here"
        ) from None


def set_aside_artifacts(output: Path) -> Path | None:
    """Renames artifacts that no record knows of: the numbers of a new one's would be theirs.

    Returns:
      Their new folder; None if there are none.
    """
    artifacts = output / ARTIFACTS
    if has_record(output) or not artifacts.exists():
        return None
    aside = output / f"{ARTIFACTS}-{datetime.datetime.now():%Y%m%d-%H%M%S}"
    return artifacts.rename(aside)
