"""Files that are there whole, or as they were before."""

import os
import tempfile
from pathlib import Path


def write_whole(file: Path, content: str | bytes) -> None:
    """Writes a file, or what a link leads to, beside it first; then renames it.

    It is on the disk when this returns, and stays there should the power fail.

    Args:
        file: In a folder that is there.
        content: Text is written in UTF-8.
    """
    file = file.resolve()
    with tempfile.TemporaryDirectory(prefix=f".{file.name}-", dir=file.parent) as folder:
        temporary = Path(folder) / file.name
        with temporary.open("wb") as stream:
            stream.write(content.encode() if isinstance(content, str) else content)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.rename(file)
    descriptor = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)  # of the name
    finally:
        os.close(descriptor)
