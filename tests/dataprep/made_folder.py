"""Makes data sets of folders of images."""

from pathlib import Path

from images import read_split

from dataprep import image_folder
from dataprep.flags import Making


def make(
    source: Path,
    output: Path,
    val_share: float = 0.2,
    shards: tuple[int | None, int | None] = (None, None),
    **flags,
) -> Path:
    image_folder.write(str(source), val_share, *shards, Making(str(output), **flags))
    return output


def names(output: Path, split: str) -> list[bytes]:
    return sorted(record["image/filename"] for record in read_split(output, split))
