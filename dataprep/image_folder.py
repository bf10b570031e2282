"""A folder of one's own images: a folder for each class, named as the class.

With `train/` and `val/` around the classes' folders, or without; then a share of each class becomes
the validation split. Images may lie in folders inside a class's folder.
"""

import contextlib
import math

from dataprep.collection import Collection, Collector
from dataprep.convert import Job, convert, tell_ignored
from dataprep.errors import UsageError
from dataprep.flags import Making, check_making, check_shards, seed_and_shards
from dataprep.source import Files, Source, open_source
from dataset import record
from dataset.image_files import is_image

COMMAND = "python -m dataprep image-folder"
SHARD_IMAGES = 1_000  # in a shard, or fewer, as in ImageNet's 1,024 shards


def write(
    source: str,
    val_share: float,
    train_shards: int | None,
    val_shards: int | None,
    making: Making,
) -> bool:
    """Writes a folder of images as a data set's folder.

    Args:
        source: Path of the folder, or of a zip archive of it.
        val_share: Share of each class for validation, where the source is not split.
        train_shards: Number of training shards; None is one for `SHARD_IMAGES` images.
        val_shards: Number of validation shards; None likewise.
        making: The other flags.

    Returns:
        Whether it was written: False when this very data set is there already.

    Raises:
        UsageError: The source, or a flag, cannot be used.
        PreparationError: Too many images are unusable, or Beam failed.
        OSError: The folder cannot be written.
    """
    asked = {record.TRAIN: train_shards, record.VAL: val_shards}
    check_shards(asked)
    check_making(making, source)
    if not 0 < val_share < 1:
        raise UsageError(f"--val-share must be between 0 and 1. Received: {val_share}")
    collection = _read(source, val_share, making.seed)
    shards = {
        split: _enough_shards(len(collection.of(split))) if number is None else number
        for split, number in asked.items()
    }
    command = f"{COMMAND} --val-share {val_share} {seed_and_shards(shards, making.seed)}"
    names = {synset: synset for synset in collection.synsets}
    return convert(collection, names, Job(source, shards, command, making))


def _read(source: str, val_share: float, seed: int) -> Collection:
    with contextlib.closing(open_source(source)) as opened:
        collector, is_split = collect(opened)
    tell_ignored(collector.ignored)
    collection = collector.collection()
    return collection if is_split else collection.split_off(val_share, seed)


def _enough_shards(images: int) -> int:
    return max(math.ceil(images / SHARD_IMAGES), 1)


def collect(source: Source) -> tuple[Collector, bool]:
    """Takes the labelled images of a folder for each class.

    Args:
        source: The folder, or a zip archive of it.

    Returns:
        The images, in the training split where the source has no splits of its own; and whether
        it has.

    Raises:
        UsageError: It has one of the splits only.
    """
    files = Files(source)
    splits = {path.split("/")[0] for path, _ in files if path.count("/") > 1} & set(record.SPLITS)
    if len(splits) == 1:
        raise UsageError(
            f"the source has {splits.pop()}/ alone. Add the other split's folder; or give the "
            "folder inside, and --val-share splits it"
        )
    collector = Collector()
    for path, entry in files.with_progress():
        split, _, inside = path.partition("/") if splits else (record.TRAIN, "", path)
        synset, slash, _ = inside.partition("/")
        if is_image(path) and slash and split in record.SPLITS:
            collector.add(split, synset, inside, source.with_checksum(entry))
        else:
            collector.ignored.append(entry.path)
    return collector, bool(splits)
