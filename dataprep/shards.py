"""Writes a data set's folder: shards, `labels.txt` and `manifest.json`, all of it or nothing."""

import fcntl
import hashlib
import io
import itertools
import json
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from PIL import Image

from components import record

COLORSPACES = {"L": "Grayscale", "RGB": "RGB"}  # Pillow's mode → the record's colour space


class UsageError(ValueError):
    """What was asked cannot be done; the message says why, and what to ask instead."""


@dataclass(frozen=True)
class Example:
    """One labelled picture; the record's other features are read off the encoded picture."""

    encoded: bytes  # a JPEG or PNG file
    label: int  # from record.LABEL_BASE
    synset: str  # the class's key; labels follow its order
    filename: str


@dataclass(frozen=True)
class Split:
    """The examples of one split, in the order to write them, and the shards to deal them to."""

    examples: Iterable[Example]
    shards: int


def write_dataset(
    output: Path,
    splits: Mapping[str, Split],
    *,
    class_names: Sequence[str],
    command: str,
    source_sha256: str,
) -> bool:
    """Writes a data set's folder, unless it is there already.

    The folder is built beside `output` under a hidden name and renamed at the end, so that a run
    which is killed leaves nothing at `output`.

    Args:
        output: Folder to make; its parents are made too. It may exist when it is empty.
        splits: Split name → its examples, which are drawn only when they must be written.
        class_names: The classes' names in label order.
        command: The command line, without the output, that makes this data set.
        source_sha256: Digest of what the examples are made from. Together with `command` it says
            whether a data set at `output` is this one.

    Returns:
        Whether it was written: False when `output` holds this very data set, which is not touched.

    Raises:
        UsageError: `output` holds something else, or a number of shards is less than 1.
        OSError: The folder cannot be written.
    """
    for name, split in splits.items():
        if split.shards < 1:
            raise UsageError(f"{name} needs at least 1 shard. Received: {split.shards}")
    output = output.resolve()  # rename() fills the folder that a link points to, not the link
    made_by = {"command": command, "source_sha256": source_sha256}
    if _already_there(output, made_by):
        return False
    output.parent.mkdir(parents=True, exist_ok=True)
    with _one_writer(output):
        if _already_there(output, made_by):  # made by another run while this one waited
            return False
        with _building_folder(output) as folder:
            _fill(folder, splits, class_names, made_by)
            folder.rename(output)
    return True


def _already_there(output: Path, made_by: Mapping[str, str]) -> bool:
    if not output.exists():
        return False
    if not output.is_dir():
        raise UsageError(f"{output} is not a folder. Choose another --output")
    if not any(output.iterdir()):
        return False
    difference = _difference(output, made_by)
    if difference:
        raise UsageError(
            f"{output} is not empty, and not this data set: {difference}. "
            "Nothing was changed. Choose another --output, or remove that folder first"
        )
    return True


def _difference(folder: Path, made_by: Mapping[str, str]) -> str | None:
    """What keeps `folder` from being the data set that `made_by` describes; None when it is."""
    try:
        manifest = json.loads((folder / record.MANIFEST_FILE).read_text("utf-8"))
    except (OSError, ValueError):
        return f"it has no readable {record.MANIFEST_FILE}"
    if not isinstance(manifest, dict) or manifest.get("made_by") != made_by:
        return f"its {record.MANIFEST_FILE} tells of another source or command"
    digests = {record.LABELS_FILE: manifest["labels_sha256"]}
    for split in manifest["splits"].values():
        digests |= {name: shard["sha256"] for name, shard in split["shards"].items()}
    for name, digest in digests.items():
        if not (folder / name).is_file():
            return f"{name} is missing"
        if _sha256(folder / name) != digest:
            return f"{name} has changed"
    return None


@contextmanager
def _one_writer(output: Path) -> Iterator[None]:
    """Holds the lock beside `output`, which the system frees when this process dies."""
    with output.with_name(f".{output.name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def _building_folder(output: Path) -> Iterator[Path]:
    """A new folder beside `output`, removed at the end unless it was renamed."""
    folder = output.with_name(f".{output.name}.tmp")
    shutil.rmtree(folder, ignore_errors=True)  # left by a killed run: the lock says none is alive
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _fill(
    folder: Path,
    splits: Mapping[str, Split],
    class_names: Sequence[str],
    made_by: Mapping[str, str],
) -> None:
    labels = folder / record.LABELS_FILE
    labels.write_text("".join(f"{name}\n" for name in class_names), "utf-8")
    manifest = {
        "tool": f"fishnet-tfx {metadata.version('fishnet-tfx')}",
        "made_by": made_by,
        "labels_sha256": _sha256(labels),
        "splits": {
            name: _write_split(folder, name, split, class_names) for name, split in splits.items()
        },
    }
    text = json.dumps(manifest, indent=2, ensure_ascii=False)
    (folder / record.MANIFEST_FILE).write_text(f"{text}\n", "utf-8")


def _write_split(
    folder: Path, name: str, split: Split, class_names: Sequence[str]
) -> dict[str, Any]:
    """Deals the examples to the shards in turn, and returns the split's part of the manifest."""
    import tensorflow as tf  # takes seconds, which a run that has nothing to write is spared

    shards = [record.shard_name(name, index, split.shards) for index in range(split.shards)]
    records: Counter[str] = Counter()
    classes: Counter[int] = Counter()
    (folder / name).mkdir()
    try:
        with ExitStack() as stack:
            writers = [
                stack.enter_context(tf.io.TFRecordWriter(str(folder / shard))) for shard in shards
            ]
            turns = itertools.cycle(zip(shards, writers, strict=True))
            for example, (shard, writer) in zip(split.examples, turns, strict=False):
                writer.write(serialize(example))
                records[shard] += 1
                classes[example.label] += 1
    except tf.errors.OpError as error:
        raise OSError(error.message) from error
    return {
        "records": records.total(),
        "classes": {
            class_name: classes[label]
            for label, class_name in enumerate(class_names, start=record.LABEL_BASE)
        },
        "shards": {
            shard: {
                "records": records[shard],
                "bytes": (folder / shard).stat().st_size,
                "sha256": _sha256(folder / shard),
            }
            for shard in shards
        },
    }


def serialize(example: Example) -> bytes:
    """The example as the bytes of a tf.Example with all features of `components.record`.

    Raises:
        ValueError: The picture is neither grey nor RGB.
    """
    import tensorflow as tf

    image = Image.open(io.BytesIO(example.encoded))  # reads the header only
    if image.mode not in COLORSPACES:
        raise ValueError(
            f"{example.filename}: the picture must be grey (L) or RGB. Received mode: {image.mode}"
        )
    features = {
        record.IMAGE: example.encoded,
        record.LABEL: example.label,
        record.SYNSET: example.synset.encode(),
        record.FORMAT: str(image.format).encode(),
        record.FILENAME: example.filename.encode(),
        record.HEIGHT: image.height,
        record.WIDTH: image.width,
        record.COLORSPACE: COLORSPACES[image.mode].encode(),
        record.CHANNELS: len(image.getbands()),
    }
    proto = tf.train.Example()
    for key, value in features.items():
        feature = proto.features.feature[key]
        values = feature.bytes_list if isinstance(value, bytes) else feature.int64_list
        values.value.append(value)
    return proto.SerializeToString(deterministic=True)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
