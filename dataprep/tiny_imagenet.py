"""Tiny ImageNet: 200 classes, 100,000 training and 10,000 validation images of 64×64 pixels.

Two layouts are known: that of the official zip, and the flattened one which some copies have:

    train/n01443537/images/n01443537_0.JPEG     train/n01443537/n01443537_0.JPEG
    val/images/val_0.JPEG                       val/ILSVRC2012_val_00000001.JPEG
    val/val_annotations.txt: name, class, box   val/val_annotations.txt: class of image 1, 2, …

Many users sort the validation images into folders of classes, `val/n01443537/val_0.JPEG`; then
val_annotations.txt may be gone. All give the same records. The test images have no labels and are
left alone.
"""

import contextlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from dataprep.collection import Collection, Collector
from dataprep.convert import convert, tell_ignored
from dataprep.download import Download, fetch
from dataprep.errors import UsageError
from dataprep.flags import Job, Making, check_making, check_shards, same_again
from dataprep.source import At, Files, Source, open_source
from dataprep.storage import is_remote
from dataset import record
from dataset.errors import listed
from dataset.image_files import is_image

COMMAND = "python -m dataprep tiny-imagenet"

# https://cs231n.stanford.edu: the course that Tiny ImageNet was made for
ARCHIVE = Download(
    url="http://cs231n.stanford.edu/tiny-imagenet-200.zip",
    bytes=248_100_043,
    md5="90528d7ca1a48142e341f4ef8d21d0de",
)

ANNOTATIONS = "val/val_annotations.txt"  # a line for each validation image
GLOSSES = "words.txt"  # synset, tab, its words
BOXES = "_boxes.txt"  # ends the name of a file that says where in its images a class is

TRAIN = re.compile(r"train/([^/]+)/(?:images/)?([^/]+)")
VAL = re.compile(r"val/(?:(?!images/)([^/]+)/)?(?:images/)?([^/]+)")
OFFICIAL_NAME = re.compile(r"val_(\d+)\.JPEG")
FLATTENED_NAME = "ILSVRC2012_val_{:08d}.JPEG"


def write(source: str | None, train_shards: int, val_shards: int, making: Making) -> bool:
    """Writes Tiny ImageNet as a data set's folder.

    Args:
        source: Path of the zip archive or the unpacked folder; None downloads it.
        train_shards: Number of training shards.
        val_shards: Number of validation shards.
        making: The other flags.

    Returns:
        Whether it was written: False when this very data set is there already.

    Raises:
        UsageError: The source, or a flag, cannot be used.
        PreparationError: The download failed, or too many images are unusable, or Beam failed.
        OSError: The folder cannot be written.
    """
    shards = {record.TRAIN: train_shards, record.VAL: val_shards}
    check_shards(shards)
    check_making(making, source)
    if source is None:
        source = _download(making.output)
    collection, names = _read(source)
    command = f"{COMMAND} {same_again(shards, making)}"
    return convert(collection, names, Job(At(source), shards, command, making, always_rgb=True))


def _read(source: str) -> tuple[Collection, Mapping[str, str]]:
    """The images, and the classes' names by synset."""
    with contextlib.closing(open_source(source)) as opened:
        files = Files(opened)
        collector = collect(opened, files)
        glosses = files.text(GLOSSES) or ""
    tell_ignored(collector.ignored)
    collection = collector.collection()
    return collection, _class_names(collection.synsets, glosses)


def _download(output: str) -> str:
    """Downloads the zip archive to beside the output, where the next run finds it."""
    folder = Path() if is_remote(output) else Path(output).resolve().parent
    archive = folder / "tiny-imagenet-200.zip"
    fetch(ARCHIVE, archive)
    return str(archive)


def collect(source: Source, files: Files) -> Collector:
    """Takes the labelled images of a Tiny ImageNet.

    Raises:
        UsageError: The source is in neither layout, or a part is missing.
    """
    annotations = files.text(ANNOTATIONS)
    labels = _read_annotations(annotations or "")
    collector = Collector()
    labelled = annotations is not None  # the validation images
    for path, entry in files.with_progress():
        if not path.startswith(("train/", "val/")) or path.endswith((BOXES, ANNOTATIONS)):
            continue
        if is_image(path) and (match := TRAIN.fullmatch(path)):
            collector.add(record.TRAIN, match[1], match[2], source.with_checksum(entry))
        elif is_image(path) and (match := VAL.fullmatch(path)):
            folder, filename = match[1], _record_name(match[2])
            labelled = labelled or bool(folder)
            if labelled:
                synset = _synset(entry.path, folder, labels.pop(filename, None))
                collector.add(record.VAL, synset, filename, source.with_checksum(entry))
        else:
            collector.ignored.append(entry.path)
    if not labelled:
        raise UsageError(
            f"the source is no Tiny ImageNet: it has no {ANNOTATIONS}, and in val/ no classes' "
            f"folders. It holds: {listed(files.tops()) or 'nothing'}"
        )
    if labels:
        raise UsageError(
            f"{ANNOTATIONS} has lines for images that are not there: {listed(sorted(labels))}. "
            "Add the images, or remove the lines"
        )
    return collector


def _synset(path: str, folder: str | None, annotated: str | None) -> str:
    """The class of a validation image, by the class's folder that it is in or its annotation."""
    if folder and annotated and folder != annotated:
        raise UsageError(
            f"{path} is of class {annotated} by its line in {ANNOTATIONS}. Move it, or remove "
            f"{ANNOTATIONS}"
        )
    synset = folder or annotated
    if synset is None:
        raise UsageError(f"{path} has no line in {ANNOTATIONS}. Add it, or remove the image")
    return synset


def _read_annotations(text: str) -> dict[str, str]:
    """Name of a validation record → its synset."""
    labels: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        columns = line.split("\t")
        if len(columns) == 1:
            name, synset = FLATTENED_NAME.format(number), columns[0].strip()
        else:
            name, synset = _record_name(columns[0]), columns[1].strip()
        if not synset or name in labels:
            raise UsageError(
                f"{ANNOTATIONS}, line {number}: {line!r} has no class, or its image's name is on "
                "a line before. Each line names one image's class"
            )
        labels[name] = synset
    return labels


def _record_name(name: str) -> str:
    """What the conversion tool calls a validation image, which it counts from 1."""
    official = OFFICIAL_NAME.fullmatch(name)
    return FLATTENED_NAME.format(int(official[1]) + 1) if official else name


def _class_names(synsets: Iterable[str], glosses: str) -> Mapping[str, str]:
    """Synset → all its words, in label order; the synset is added where two have the same words."""
    words = dict(line.split("\t", 1) for line in glosses.splitlines() if "\t" in line)
    names = {synset: words.get(synset, synset).strip() for synset in synsets}
    taken = Counter(names.values())
    return {
        synset: name if taken[name] == 1 else f"{name} ({synset})" for synset, name in names.items()
    }
