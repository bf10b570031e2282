"""The files that make a SavedModel, and their digest.

Nothing of TensorFlow is imported here. For a folder in an object store give TFX's `fileio.walk` and
`fileio.open`.
"""

import hashlib
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from served_model.receipt import RECEIPT_FILE

SAVED_MODEL = "saved_model.pb"
CLASSES_FILE = "assets.extra/classes.json"  # names in label order

_CHUNK = 1 << 20  # bytes

Walk = Callable[[str], Iterable[tuple[str, list[str], list[str]]]]


def model_files(folder: str, walk: Walk = os.walk) -> list[str]:
    """Paths inside `folder` of a SavedModel's files, `saved_model.pb` last; not of its receipt.

    Raises:
      FileNotFoundError: There is no SavedModel in the folder.
    """
    names = sorted(
        os.path.relpath(f"{parent}/{name}", folder)
        for parent, _, files in walk(folder)
        for name in files
    )
    if SAVED_MODEL not in names:
        raise FileNotFoundError(f"{folder} holds no SavedModel: it has no {SAVED_MODEL}")
    return [name for name in names if name not in (SAVED_MODEL, RECEIPT_FILE)] + [SAVED_MODEL]


def digest(folder: str, names: Iterable[str], open_file: Callable[..., Any] = open) -> str:
    """SHA-256 over the paths `names` inside `folder` and the files' contents."""
    whole = hashlib.sha256()
    for name in names:
        content = hashlib.sha256()
        with open_file(f"{folder}/{name}", "rb") as file:
            while chunk := file.read(_CHUNK):
                content.update(chunk)
        whole.update(f"{name} {content.hexdigest()}\n".encode())
    return whole.hexdigest()


def why_no_version(folder: Path) -> str | None:
    """Why `folder` is not that of a pushed version, and which may be meant; None if it is one."""
    if (folder / SAVED_MODEL).is_file():
        if (folder / CLASSES_FILE).is_file():
            return None
        return f"a SavedModel that this pipeline did not write: it has no {CLASSES_FILE}"
    versions = sorted(folder.glob(f"*/{SAVED_MODEL}"), key=lambda path: path.stat().st_mtime)
    if versions:
        return f"has several versions in it; give one of them, e.g. {versions[-1].parent}"
    return f"no pushed version, which has a {SAVED_MODEL} in it"
