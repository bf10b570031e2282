"""Reads `labels.txt`: the classes' names in label order."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from dataset import record
from dataset.errors import DataError
from dataset.manifest import Manifest


def read_class_names(labels: Path, manifest: Manifest | None) -> tuple[str, ...] | None:
    """Reads a `labels.txt`; None if there is none.

    Args:
        labels: The file.
        manifest: Says what it must be, if given.

    Raises:
        DataError: It does not name each class once, or is not the file that the manifest lists.
    """
    return (
        parse_class_names(labels.read_bytes(), str(labels), manifest) if labels.exists() else None
    )


def parse_class_names(content: bytes, name: str, manifest: Manifest | None) -> tuple[str, ...]:
    """Reads what a `labels.txt` holds.

    Args:
        content: The file's.
        name: Its path, to be named in errors.
        manifest: As for `read_class_names`.

    Raises:
        DataError: As `read_class_names` does.
    """
    if manifest and hashlib.sha256(content).hexdigest() != manifest.labels_sha256:
        raise DataError(
            f"{name} is not as {record.MANIFEST_FILE} says: its SHA-256 is another. Make or "
            f"copy the data set again; if the names are right, remove {record.MANIFEST_FILE}"
        )
    try:
        text = content.decode("utf-8-sig")  # some editors begin a file with a byte order mark
    except UnicodeDecodeError as error:
        raise DataError(f"{name} is not UTF-8: {error}. Save it as UTF-8") from error
    names: dict[str, int] = {}  # class name → its line
    for line, class_name in enumerate(text.removesuffix("\n").split("\n"), start=1):
        class_name = class_name.strip()
        if not class_name:
            raise DataError(f"{name}, line {line}: no name. Each line names one class")
        if class_name in names:
            raise DataError(
                f"{name}, line {line}: {class_name!r} is on line {names[class_name]} already. "
                "Each class needs a name of its own"
            )
        names[class_name] = line
    return tuple(names)


def check_number(folder: str, class_names: Sequence[str], synsets: Sequence[str]) -> None:
    """Refuses names that are not as many as the classes, where both are known.

    Raises:
        DataError: They are not those of the data set in `folder`.
    """
    if class_names and synsets and len(class_names) != len(synsets):
        raise DataError(
            f"{folder}: there are {len(class_names)} class names for {len(synsets)} classes. Give "
            "each class a name, in labels.txt or by --data.class_names"
        )
