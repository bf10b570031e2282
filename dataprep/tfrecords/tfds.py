"""What tensorflow_datasets tells of a data set in the files beside its shards.

    DIR/dataset_info.json    splits, number of records of each shard, names of the files
    DIR/features.json        features, with which of them is an image and which a class
    DIR/label.labels.txt     names of the classes of the feature `label`, from 0

https://www.tensorflow.org/datasets/external_tfrecord has what the files are; the messages are in
tensorflow_datasets/core/proto/*.proto.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from dataprep.errors import UsageError
from dataprep.storage import file_sizes, open_file
from dataset.errors import listed

INFO, FEATURES = "dataset_info.json", "features.json"
NAMES = ".labels.txt"  # after the feature's name
TEMPLATE = "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}"  # of releases that do not tell it
TFRECORD = "tfrecord"  # the one of their file formats that is read here


@dataclass(frozen=True)
class Metadata:
    """What is told of a data set.

    Attributes:
        folder: That of the version, which holds the shards.
        title: Name, configuration and version, e.g. `tones/small/2.1.0`.
        image: Feature with the image.
        label: Feature with the class.
        class_names: From the label 0 on; empty where the label is no number.
        shards: Split → name of each shard's file → its number of records.
    """

    folder: str
    title: str
    image: str
    label: str
    class_names: tuple[str, ...]
    shards: Mapping[str, Mapping[str, int]]


def find(folder: str, image: str | None, label: str | None) -> Metadata | None:
    """Reads the metadata in a data set's folder or, where it has only one, in its version's.

    Args:
        folder: That of the data set, its configuration or its version.
        image: Feature with the image, where it is given.
        label: Feature with the class, likewise.

    Returns:
        What they tell; None where tensorflow_datasets did not write the folder.

    Raises:
        UsageError: There are several versions, or the data set is not one of labelled images.
    """
    sizes = file_sizes(folder)
    found = sorted(path.removesuffix(INFO) for path in sizes if f"/{path}".endswith(f"/{INFO}"))
    versions = [path for path in found if f"{path}{FEATURES}" in sizes]
    if not versions:
        return None
    if len(versions) > 1:
        raise UsageError(
            f"--source {folder} holds {len(versions)} versions or configurations: "
            f"{listed([path.rstrip('/') for path in versions])}. Give the folder of one"
        )
    version = f"{folder.rstrip('/')}/{versions[0]}".rstrip("/")
    try:
        return _read(version, image, label)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        if isinstance(error, UsageError):
            raise
        raise UsageError(
            f"{version}: {INFO} or {FEATURES} is not as tensorflow_datasets writes it ({error!r}). "
            f"Give its shards as --source '{version}/*.tfrecord*', with --image-key and --label-key"
        ) from error


def is_metadata(name: str) -> bool:
    """Whether a file beside the shards is one that tensorflow_datasets writes there."""
    return name in (INFO, FEATURES) or name.endswith(NAMES)


def _read(folder: str, image: str | None, label: str | None) -> Metadata:
    info, features = _json(folder, INFO), _json(folder, FEATURES)["featuresDict"]["features"]
    title = "/".join(info[key] for key in ("name", "configName", "version") if info.get(key))
    if (file_format := info.get("fileFormat", TFRECORD)) != TFRECORD:
        raise UsageError(
            f"{folder} has files of the format {file_format!r}; TFRecord files are read. "
            "`tfds convert_format` converts them"
        )
    image = image or _only("image", _images(features), info, features, folder)
    label = label or _only("label", _labels(features), info, features, folder)
    for flag, name in (("--image-key", image), ("--label-key", label)):
        if name not in features:
            raise UsageError(f"{flag} {name}: {title} has the features {listed(sorted(features))}")
    if (dtype := features[image].get("image", {}).get("dtype", "uint8")) not in ("uint8", "uint16"):
        raise UsageError(
            f"{title}: the image feature `{image}` holds numbers of type {dtype}, whose bytes are "
            "packed into PNG files; they are no images to look at. Write it with uint8"
        )
    return Metadata(
        folder, title, image, label, _class_names(folder, label, features[label]), _shards(info)
    )


def _json(folder: str, name: str) -> dict[str, Any]:
    with open_file(f"{folder}/{name}") as file:
        return json.load(file)


def _images(features: Mapping[str, Any]) -> list[str]:
    return [name for name, feature in features.items() if "image" in feature]


def _labels(features: Mapping[str, Any]) -> list[str]:
    return [name for name, feature in features.items() if "classLabel" in feature]


def _only(
    what: str, found: list[str], info: Mapping[str, Any], features: Mapping[str, Any], folder: str
) -> str:
    """The one feature of a kind; of several, the one that `supervisedKeys` tells."""
    if len(found) == 1:
        return found[0]
    items = info.get("supervisedKeys", {}).get("tuple", {}).get("items", [])
    supervised = [item.get("featureKey") for item in items][:2]
    if len(supervised) == 2:
        name = supervised[("image", "label").index(what)]
        if name in features:
            return name
    raise UsageError(
        f"{folder}: which feature is the {what}? {FEATURES} has {listed(sorted(features), 10)}. "
        f"Tell it with --{what}-key"
    )


def _class_names(folder: str, label: str, feature: Mapping[str, Any]) -> tuple[str, ...]:
    if "classLabel" not in feature:
        return ()
    number = int(feature["classLabel"]["numClasses"])
    file = f"{label}{NAMES}"
    if file not in file_sizes(folder):
        return tuple(map(str, range(number)))  # as tensorflow_datasets names them itself
    with open_file(f"{folder}/{file}") as opened:
        lines = opened.read().decode().split("\n")
    names = tuple(line.strip() for line in lines if line.strip())
    if len(names) != number:
        raise UsageError(
            f"{folder}/{file} has {len(names)} names, and {FEATURES} tells of {number} classes. "
            "Get the data set's folder again"
        )
    return names


def _shards(info: Mapping[str, Any]) -> dict[str, dict[str, int]]:
    return {split["name"]: dict(_files(info, split)) for split in info["splits"]}


def _files(info: Mapping[str, Any], split: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    lengths = split["shardLengths"]
    for index, length in enumerate(lengths):
        place = {"SHARD_INDEX": f"{index:05d}", "NUM_SHARDS": f"{len(lengths):05d}"}
        name = split.get("filepathTemplate") or TEMPLATE
        parts = place | {
            "DATASET": info["name"],
            "SPLIT": split["name"],
            "FILEFORMAT": TFRECORD,
            "SHARD_X_OF_Y": "{SHARD_INDEX}-of-{NUM_SHARDS}".format(**place),
        }
        yield name.format(**parts), int(length)
