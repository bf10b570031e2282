"""Which files of a folder are images: one rule for making data sets and for batch prediction."""

import stat
from collections.abc import Iterator, Set
from pathlib import Path, PurePosixPath

# Images by their names; what a file is shows when it is decoded.
SUFFIXES = (".jpg", ".jpeg", ".png", ".gif", ".bmp", ".webp", ".tif", ".tiff")

JUNK = {"__MACOSX", "Thumbs.db", "desktop.ini"}  # beside hidden files, what systems leave about


class FolderError(ValueError):
    """A folder cannot be read as a whole; the message names the place, and what to do."""


def is_image(path: str) -> bool:
    """Whether a file is an image by its name."""
    return PurePosixPath(path).suffix.lower() in SUFFIXES


def is_junk(path: str) -> bool:
    """Whether a file, or a folder that it lies in, is hidden, or left about by a system.

    Args:
        path: Inside the folder that is read, with slashes.
    """
    parts = path.removeprefix("./").split("/")  # as some programs write an archive's names
    return any(part in JUNK or part.startswith(".") for part in parts)


def walk(root: Path) -> Iterator[tuple[str, int]]:
    """Yields what is below the folder `root`, but junk, at any depth. Links are followed.

    Yields:
        The path below `root`, with slashes, of a folder with one at its end; bytes, of a folder 0.

    Raises:
        FolderError: Something cannot be read, is neither a file nor a folder, has a name that is
            not UTF-8, or leads back to a folder above.
    """
    try:
        yield from _walk(root, root, frozenset())
    except OSError as error:
        raise FolderError(
            f"{error.filename} cannot be read: {error.strerror}. Mend or remove it"
        ) from error


def _walk(root: Path, folder: Path, above: Set[tuple[int, int]]) -> Iterator[tuple[str, int]]:
    status = folder.stat()
    here = status.st_dev, status.st_ino
    if here in above:
        raise FolderError(f"{folder} is a link to a folder that it lies in. Remove the link")
    for path in folder.iterdir():
        if is_junk(path.name):
            continue
        inside = path.relative_to(root).as_posix()
        _check_name(inside)
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            yield f"{inside}/", 0
            yield from _walk(root, path, above | {here})
        elif stat.S_ISREG(status.st_mode):
            yield inside, status.st_size
        else:
            raise FolderError(f"{path} is neither a file nor a folder. Remove it")


def _check_name(path: str) -> None:
    try:
        path.encode()
    except UnicodeEncodeError as error:
        raise FolderError(f"a file's name is not UTF-8: {path!r}. Rename it") from error
