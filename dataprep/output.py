"""The folder of a data set comes into being whole, or not at all."""

import fcntl
import glob
import hashlib
import json
import shutil
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from dataprep.errors import UsageError
from dataprep.storage import delete_folder, file_sizes, is_remote, open_file
from dataset import record

CHUNK_BYTES = 2**20


def make_dataset(output: str, made_by: Mapping[str, str], fill: Callable[[str], None]) -> bool:
    """Makes a data set's folder, unless it is there already.

    On this machine the folder is built beside `output` under a hidden name, and renamed at the end.
    An object store cannot rename: there the manifest, which `fill` writes last, tells that the data
    set is whole.

    Args:
        output: Folder to make, or address on an object store; its parents are made too. A folder
            may exist when it is empty.
        made_by: The command line, without source and output, that makes this data set, and the
            digest of what it is made from. They say whether a data set at `output` is this one.
        fill: Writes the data set into the folder that it is given.

    Returns:
        Whether it was made: False when `output` holds this very data set, which is not touched.

    Raises:
        UsageError: `output` holds something else, or cannot be replaced.
        OSError: The folder cannot be written.
    """
    if is_remote(output):
        return _make_remote(output.rstrip("/"), made_by, fill)
    path = Path(output).resolve()  # rename() fills the folder that a link points to, not the link
    if _already_there(path, made_by):
        return False
    if path.is_mount() or path == Path.cwd():
        raise UsageError(
            f"{path} is the current folder, or where a disk is mounted: the new folder cannot take "
            "its place. Choose a folder inside it as --output"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    with _one_writer(path):
        if _already_there(path, made_by):  # made by another run while this one waited
            return False
        with _building_folder(path) as folder:
            fill(str(folder))
            folder.rename(path)
    return True


def _make_remote(output: str, made_by: Mapping[str, str], fill: Callable[[str], None]) -> bool:
    there = set(file_sizes(output))
    if record.MANIFEST_FILE in there:
        _refuse_other(output, made_by)
        return False
    if there:
        raise UsageError(
            f"{output} is not empty, and has no {record.MANIFEST_FILE}: it holds something else, "
            "or what a killed run left. Choose another --output, or remove what is there"
        )
    try:
        fill(output)
    except BaseException:
        delete_folder(output)
        raise
    return True


def _already_there(output: Path, made_by: Mapping[str, str]) -> bool:
    if not output.exists():
        return False
    if not output.is_dir():
        raise UsageError(f"{output} is not a folder. Choose another --output")
    if not any(output.iterdir()):
        return False
    _refuse_other(str(output), made_by)
    return True


def _refuse_other(output: str, made_by: Mapping[str, str]) -> None:
    if difference := _difference(output, made_by):
        raise UsageError(
            f"{output} is not empty, and not this data set: {difference}. "
            "Nothing was changed. Choose another --output, or remove that folder first"
        )


def _difference(folder: str, made_by: Mapping[str, str]) -> str | None:
    """What keeps `folder` from being the data set that `made_by` describes; None when it is."""
    try:
        with open_file(f"{folder}/{record.MANIFEST_FILE}") as file:
            manifest = json.load(file)
    except (OSError, ValueError):
        return f"it has no readable {record.MANIFEST_FILE}"
    if not isinstance(manifest, dict) or manifest.get("made_by") != made_by:
        return f"its {record.MANIFEST_FILE} says another source or command"
    digests = {record.LABELS_FILE: manifest["labels_sha256"]}
    for split in manifest["splits"].values():
        digests |= {name: shard["sha256"] for name, shard in split["shards"].items()}
    there = file_sizes(folder)
    for name, digest in digests.items():
        if name not in there:
            return f"{name} is missing"
        if _sha256(f"{folder}/{name}") != digest:
            return f"{name} has changed"
    return None


def _sha256(path: str) -> str:
    digest = hashlib.sha256()
    with open_file(path) as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


@contextmanager
def _one_writer(output: Path) -> Iterator[None]:
    """Holds the lock beside `output`, which the system frees when this process dies."""
    with output.with_name(f".{output.name}.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sys.stderr.write(f"note: another run is writing {output}; this one waits for its end\n")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def _building_folder(output: Path) -> Iterator[Path]:
    """A new folder beside `output`, removed at the end unless it was renamed.

    Its name is never used twice: the workers of a killed run may live a second longer than it.
    """
    prefix = f".{output.name}.tmp-"
    for left in output.parent.glob(f"{glob.escape(prefix)}*"):  # by killed runs: the lock says so
        shutil.rmtree(left, ignore_errors=True)
    folder = output.with_name(f"{prefix}{uuid.uuid4().hex}")
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
