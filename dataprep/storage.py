"""Files on this machine and, by Beam's file systems, on object stores: `gs://bucket/…`.

Beam is imported only for the latter: it takes seconds.
"""

import shutil
from pathlib import Path
from typing import BinaryIO


def is_remote(path: str) -> bool:
    """Whether `path` is the address of an object store."""
    return "://" in path


def is_known(address: str) -> bool:
    """Whether there is a file system for the address of an object store."""
    from apache_beam.io.filesystems import FileSystems

    try:
        FileSystems.get_filesystem(address)
    except ValueError:
        return False
    return True


def open_file(path: str) -> BinaryIO:
    """Opens a file for reading at any place in it."""
    if not is_remote(path):
        return Path(path).open("rb")
    from apache_beam.io.filesystems import CompressionTypes, FileSystems

    return FileSystems.open(path, compression_type=CompressionTypes.UNCOMPRESSED)


def create_file(path: str) -> BinaryIO:
    """Opens a file for writing; its folder is made, and what was there is replaced."""
    if not is_remote(path):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        return Path(path).open("wb")
    from apache_beam.io.filesystems import CompressionTypes, FileSystems

    return FileSystems.create(path, compression_type=CompressionTypes.UNCOMPRESSED)


def file_sizes(folder: str, pattern: str = "**") -> dict[str, int]:
    """Path inside `folder` → bytes, of its files; empty where there is no such folder.

    Args:
        folder: The folder.
        pattern: Which of its files, where it is on an object store.
    """
    if not is_remote(folder):
        found = (path for path in Path(folder).rglob("*") if path.is_file())
        return {path.relative_to(folder).as_posix(): path.stat().st_size for path in found}
    from apache_beam.io.filesystems import FileSystems

    [match] = FileSystems.match([f"{folder}/{pattern}"])
    return {
        file.path.removeprefix(f"{folder}/"): file.size_in_bytes for file in match.metadata_list
    }


def delete_folder(folder: str) -> None:
    """Deletes all that is in a folder."""
    if not is_remote(folder):
        shutil.rmtree(folder)
        return
    from apache_beam.io.filesystems import FileSystems

    FileSystems.delete([f"{folder}/{name}" for name in file_sizes(folder)])
