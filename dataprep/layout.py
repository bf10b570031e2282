"""What the layouts of sources have in common: the folder they begin in, and images' names."""

from collections.abc import Iterator
from pathlib import PurePosixPath

from components import record
from dataprep.entry import Entry
from dataprep.errors import UsageError
from dataprep.progress import showing
from dataprep.source import Source

# By their names; what they are is seen when they are decoded.
IMAGES = {".jpeg", ".jpg", ".png", ".gif", ".bmp", ".webp", ".tif", ".tiff"}


def is_image(path: str) -> bool:
    """Whether a file is an image by its name."""
    return PurePosixPath(path).suffix.lower() in IMAGES


class Files:
    """The files of a source, by their paths inside the one folder that holds everything, if any.

    Most archives have such a folder. A split's or a class's folder is not taken for one.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._number = 0
        common: list[str] | None = None  # the folders that all files are in
        deepest = 0
        for entry in source.entries():
            *folders, _ = entry.path.split("/")
            self._number += 1
            deepest = max(deepest, len(folders))
            common = folders if common is None else _common(common, folders)
        inner = (common or [])[: max(deepest - 1, 0)]
        for split in set(record.SPLITS) & set(inner):
            inner = inner[: inner.index(split)]
        self._root = "".join(f"{folder}/" for folder in inner)

    def __iter__(self) -> Iterator[tuple[str, Entry]]:
        for entry in self._source.entries():
            yield entry.path.removeprefix(self._root), entry

    def with_progress(self) -> Iterator[tuple[str, Entry]]:
        """Iterates, and shows how far it is."""
        with showing("Reading", self._number, "files") as tell:
            for number, item in enumerate(self, start=1):
                yield item
                tell(number)

    def tops(self) -> list[str]:
        """The files and folders at the top."""
        return sorted({path.split("/")[0] for path, _ in self})

    def text(self, wanted: str) -> str | None:
        """What a text file says; None if it is not there.

        Raises:
            UsageError: It is no text.
        """
        for path, entry in self:
            if path == wanted:
                try:
                    data = self._source.read(self._source.with_checksum(entry))
                    return data.decode("utf-8-sig")
                except ValueError as error:
                    message = f"{entry.path} is not UTF-8 text, or damaged: {error}"
                    raise UsageError(message) from error
        return None


def _common(one: list[str], other: list[str]) -> list[str]:
    same = [a == b for a, b in zip(one, other, strict=False)]
    return one[: same.index(False)] if False in same else one[: len(same)]
