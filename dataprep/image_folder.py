"""A folder of one's own images: a folder for each class, named as the class.

With `train/` and `val/` around the classes' folders, or without; then a share of each class becomes
the validation split. Images may lie in folders inside a class's folder.
"""

import contextlib
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping

from dataprep.collection import Collection, Collector
from dataprep.convert import convert, tell, tell_ignored
from dataprep.errors import UsageError
from dataprep.flags import (
    Job,
    Making,
    check_making,
    check_shards,
    check_val_share,
    chosen_shards,
    same_again,
)
from dataprep.source import SPLIT_NAMES, At, Files, Source, open_source, split_of
from dataset import record
from dataset.errors import listed
from dataset.image_files import is_image

COMMAND = "python -m dataprep image-folder"


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
    check_val_share(val_share)
    collection = _read(source, val_share, making.seed)
    shards = chosen_shards(asked, collection.numbers())
    command = f"{COMMAND} --val-share {val_share} {same_again(shards, making)}"
    names = {synset: synset for synset in collection.synsets}
    return convert(collection, names, Job(At(source), shards, command, making))


def _read(source: str, val_share: float, seed: int) -> Collection:
    with contextlib.closing(open_source(source)) as opened:
        files = Files(opened)
        splits = find_splits(files.folders(depth=2))
        collector, remarks = collect(opened, files, splits)
        remarks += opened.remarks()
    if splits:
        taken = ", ".join(f"{folder}/ is {split}" for folder, split in sorted(splits.items()))
        remarks.append(f"the source is split: {taken}")
    else:
        remarks.append(f"the source is not split: {val_share:g} of each class is for validation")
    tell(remarks)
    tell_ignored(collector.ignored)
    collection = collector.collection()
    return collection if splits else collection.split_off(val_share, seed)


def find_splits(folders: Iterable[tuple[str, ...]]) -> dict[str, str]:
    """Which folders at the top are splits: those so named in which there are folders of classes.

    Args:
        folders: Those of the source, by the names on the way to them.

    Returns:
        Folder → split, one of each; empty where the source has none.

    Raises:
        UsageError: It has one of the splits only, or one of them twice.
    """
    with_classes = sorted({top for top, *inside in folders if inside})
    found = {folder: split for folder in with_classes if (split := split_of(folder))}
    names = {split: [f for f in found if found[f] == split] for split in record.SPLITS}
    for split, twins in names.items():
        if len(twins) > 1:
            raise UsageError(f"{' and '.join(twins)} both mean the {split} split. Keep one of them")
    if len(found) == 1:
        [(folder, split)] = found.items()
        others = [name for name, other in SPLIT_NAMES.items() if other != split]
        raise UsageError(
            f"the source has {folder}/ alone, and none of {', '.join(others)} beside it. Add the "
            "other split's folder; or give the folder inside (of an archive, once unpacked), and "
            "--val-share splits it"
        )
    return found


def collect(source: Source, files: Files, splits: Mapping[str, str]) -> tuple[Collector, list[str]]:
    """Takes the labelled images of a folder for each class.

    Args:
        source: The folder, or a zip archive of it.
        files: What is in it.
        splits: Folder → split; where it is empty, all are for training.

    Returns:
        The images, and what a user should know of the classes.
    """
    collector, classes = Collector(), ClassFolders()
    depth = 2 if splits else 1  # of the classes' folders
    for *above, folder in files.folders(depth):
        if len(above) == depth - 1 and splits.keys() >= set(above):
            classes.see(folder)
    for path, entry in files.with_progress():
        top, _, inside = path.partition("/") if splits else ("", "", path)
        split = splits.get(top) if splits else record.TRAIN
        if split and "/" in inside and is_image(path):
            collector.add(split, classes.add(inside), inside, source.with_checksum(entry))
        else:
            collector.ignored.append(entry.path)
    return collector, classes.remarks()


class ClassFolders:
    """The folders that are classes by their names, and what a user should know of them."""

    def __init__(self) -> None:
        self._spellings: dict[str, set[str]] = {}
        self._with_images: set[str] = set()
        self._inner: set[str] = set()

    def see(self, folder: str) -> str:
        """Takes a class's folder, and returns the class, whose name is in Unicode's form NFC."""
        synset = unicodedata.normalize("NFC", folder)
        self._spellings.setdefault(synset, set()).add(folder)
        return synset

    def add(self, path: str) -> str:
        """Takes the path of an image, from the class's folder on, and returns the class."""
        folder, *inner, _ = path.split("/")
        synset = self.see(folder)
        self._with_images.add(synset)
        if inner:
            self._inner.add(f"{synset}/{inner[0]}")
        return synset

    def remarks(self) -> list[str]:
        """What was decided, and may be meant otherwise."""
        told = []
        if empty := sorted(self._spellings.keys() - self._with_images):
            told.append(f"no class is made of folders without images: {listed(empty)}")
        if twice := sorted(name for name, spelt in self._spellings.items() if len(spelt) > 1):
            told.append(
                f"{listed(twice)}: the name is there with letters in one piece and with accents "
                "apart (Unicode's forms NFC and NFD); both are one class"
            )
        cases = Counter(name.casefold() for name in self._with_images)
        if alike := sorted(name for name in self._with_images if cases[name.casefold()] > 1):
            told.append(f"{listed(alike)} are classes of their own, though only the case differs")
        if self._inner:
            told.append(
                "the classes are the folders at the top; images deeper inside belong to them: "
                f"{listed(sorted(self._inner))}. If those are the classes, move them to the top"
            )
        return told
