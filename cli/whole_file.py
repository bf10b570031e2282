"""Files that are there whole, or as they were before."""

import tempfile
from pathlib import Path


def write_whole(file: Path, text: str) -> None:
    """Writes a file in UTF-8, or what a link leads to, beside it first; then renames it."""
    file = file.resolve()
    with tempfile.TemporaryDirectory(prefix=f".{file.name}-", dir=file.parent) as folder:
        temporary = Path(folder) / file.name
        temporary.write_text(text, "utf-8")
        temporary.rename(file)
