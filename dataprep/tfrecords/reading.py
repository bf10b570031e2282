"""How to read a source's records: by flags, by what tensorflow_datasets tells, or by themselves."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from google.protobuf.message import DecodeError

from dataprep.errors import UsageError
from dataprep.storage import is_remote, open_file
from dataprep.tfrecords import splits, tfds
from dataprep.tfrecords.files import RecordFiles, find_files
from dataprep.tfrecords.labels import ClassNames
from dataprep.tfrecords.splits import Splits
from dataset import record
from dataset.class_names import parse_class_names
from dataset.conversion import contents, guess_keys
from dataset.errors import listed
from dataset.example import Feature, parse


@dataclass(frozen=True)
class Flags:
    """What the command line says of the records; None is to be found out.

    Attributes:
        image_key: Feature with the image's file.
        label_key: Feature with the class.
        label_base: Number of the first class.
        labels: File with the classes' names in label order, one a line.
    """

    image_key: str | None = None
    label_key: str | None = None
    label_base: int | None = None
    labels: str | None = None


@dataclass(frozen=True)
class Reading:
    """How the records of a source are to be read.

    Attributes:
        files: Those that are read.
        splits: Which file is of which split.
        image: Feature with the image's file.
        label: Feature with the class.
        base: The first class's number; None if the labels are to tell it.
        names: The classes' names.
        expected: File → its number of records, where that is known.
        origin: What told of the features, to be named.
    """

    files: RecordFiles
    splits: Splits
    image: str
    label: str
    base: int | None
    names: ClassNames
    expected: Mapping[str, int]
    origin: str


def choose(source: str, flags: Flags) -> Reading:
    """Finds out how to read a source.

    Raises:
        UsageError: It is not clear; the message says which flag tells it.
        PreparationError: A file is damaged.
    """
    names = _names(flags.labels) if flags.labels else None
    is_folder = is_remote(source) or Path(source).is_dir()
    metadata = tfds.find(source, flags.image_key, flags.label_key) if is_folder else None
    if metadata:
        return _by_metadata(metadata, flags, names)
    return _by_records(source, flags, names)


def _by_metadata(metadata: tfds.Metadata, flags: Flags, names: ClassNames | None) -> Reading:
    files = find_files(metadata.folder)
    chosen = splits.by_split_names(metadata.shards)
    lengths = {name: number for part in metadata.shards.values() for name, number in part.items()}
    of = {name: split for part, split in chosen.of.items() for name in metadata.shards[part]}
    if missing := sorted(of.keys() - {file.name for file in files.files}):
        raise UsageError(
            f"{metadata.folder} lacks {listed(missing)}, of which {tfds.INFO} tells. Copy or make "
            "the data set again"
        )
    own = ClassNames(metadata.class_names, tfds.FEATURES)
    ignored = tuple(name for name in files.ignored if not tfds.is_metadata(name))
    return Reading(
        files=replace(files.only(of), ignored=ignored),
        splits=Splits(of, chosen.told, chosen.whole),
        image=metadata.image,
        label=metadata.label,
        base=0 if metadata.class_names and flags.label_base is None else flags.label_base,
        names=names or own,
        expected=lengths,
        origin=f"tensorflow_datasets, {metadata.title}",
    )


def _by_records(source: str, flags: Flags, names: ClassNames | None) -> Reading:
    files = find_files(source)
    chosen = splits.by_file_names(file.name for file in files.files)
    files = files.only(chosen.of)
    features = _first_record(files)
    image, label = guess_keys(features)
    return Reading(
        files=files,
        splits=chosen,
        image=_key("image", flags.image_key, image, features),
        label=_key("label", flags.label_key, label, features),
        base=flags.label_base,
        names=names or _names_beside(files),
        expected={},
        origin="flags" if flags.image_key and flags.label_key else "the first record",
    )


def _key(what: str, given: str | None, guess: str | None, features: Mapping[str, Feature]) -> str:
    """The feature that is the image, or the label."""
    if given and given not in features:
        raise UsageError(
            f"--{what}-key {given}: the first record has no such feature. It holds "
            f"{contents(features)}"
        )
    if key := given or guess:
        return key
    raise UsageError(
        f"which feature is the {what}? The first record holds {contents(features)}. Say it with "
        f"--{what}-key"
    )


def _first_record(files: RecordFiles) -> Mapping[str, Feature]:
    for file in files.files:
        for place, serialized, _ in files.records(file):
            try:
                return parse(serialized)
            except DecodeError as error:
                raise UsageError(
                    f"{files.folder}: {place} is no tf.Example; records of that kind are read"
                ) from error
    raise UsageError(f"{files.folder}: all {len(files.files)} files are empty")


def _names(path: str) -> ClassNames:
    try:
        with open_file(path) as file:
            return ClassNames(parse_class_names(file.read(), path, None), path)
    except OSError as error:
        raise UsageError(f"--labels {path}: cannot be read ({error.strerror or error})") from error


def _names_beside(files: RecordFiles) -> ClassNames:
    """The names in the source's own `labels.txt`, if there is one."""
    there = record.LABELS_FILE in files.ignored
    return _names(f"{files.folder}/{record.LABELS_FILE}") if there else ClassNames()
