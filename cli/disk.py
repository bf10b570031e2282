"""What files take on the disk."""

import os
from pathlib import Path


def folder_bytes(folder: Path) -> int:
    """Bytes in the files below `folder`; some may go, or the folder itself, while they are counted.

    A link counts as itself, not as what it leads to.
    """
    size = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                size += Path(parent, name).lstat().st_size
            except FileNotFoundError:
                continue
    return size
