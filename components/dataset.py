"""Reads a data set's folder: which shards there are, how many records, which classes.

Imports nothing of TensorFlow, so that a wrong folder is reported at once.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components import record, tfrecord

MOST_NAMED = 3  # shards that an error names; the others are counted


class DataError(ValueError):
    """The data cannot be used; the message names the file, the rule and what to do."""


@dataclass(frozen=True)
class Shard:
    """What is known of a shard; None what is not.

    Attributes:
        bytes: The file's size.
        records: Number of records.
        sha256: Of the file, hexadecimal.
    """

    bytes: int
    records: int | None = None
    sha256: str | None = None


@dataclass(frozen=True)
class Manifest:
    """What dataprep wrote of a data set.

    Attributes:
        records: Split name → its number of records.
        shards: Shard's name → what was written.
        synsets: The classes' keys in label order.
        labels_sha256: Of `labels.txt`, hexadecimal.
    """

    records: Mapping[str, int]
    shards: Mapping[str, Shard]
    synsets: tuple[str, ...]
    labels_sha256: str

    def differences(self, found: Mapping[str, Shard]) -> list[str]:
        """What is not as it was written.

        Args:
            found: Shard's name → what is known of it; what is None is not compared.
        """
        differences = []
        for name in sorted(self.shards.keys() | found.keys()):
            written, there = self.shards.get(name), found.get(name)
            if there is None:
                differences.append(f"{name} is missing")
            elif written is None:
                differences.append(f"{name} is one too many")
            elif there.bytes != written.bytes:
                differences.append(f"{name} has {there.bytes:,} bytes instead of {written.bytes:,}")
            elif there.records is not None and there.records != written.records:
                differences.append(f"{name} has {there.records} records, not {written.records}")
            elif there.sha256 is not None and there.sha256 != written.sha256:
                differences.append(f"{name} was altered: its SHA-256 is another")
        return differences


@dataclass(frozen=True)
class Dataset:
    """What a data set's folder holds.

    Attributes:
        path: The folder.
        shards: Split name → its shards in order.
        records: Split name → its number of records, at least 1.
        class_names: The classes' names in label order; None where the folder has no `labels.txt`.
        synsets: The classes' keys in label order; None where the folder has no manifest.
    """

    path: Path
    shards: Mapping[str, tuple[Path, ...]]
    records: Mapping[str, int]
    class_names: tuple[str, ...] | None
    synsets: tuple[str, ...] | None


def read_dataset(path: Path) -> Dataset:
    """Reads what a data set's folder holds, from its manifest or else from the shards' framing.

    The records themselves are not read.

    Args:
        path: Folder as `components.record` describes it; `python -m dataprep` makes one.

    Raises:
        FileNotFoundError: There is nothing at `path`.
        NotADirectoryError: `path` is a file.
        DataError: The folder is there, and is not a whole data set.
    """
    if not path.exists():
        raise FileNotFoundError(
            f"{path} does not exist. A data set's folder is wanted; "
            "`python -m dataprep --help` says how to make one"
        )
    if not path.is_dir():
        raise NotADirectoryError(
            f"{path} is a file. The folder that holds train/ and val/ is wanted"
        )
    names = {
        split: order_shards(str(path), split, _shard_names(path, split)) for split in record.SPLITS
    }
    _check_splits(path, names)
    shards = {split: tuple(path / name for name in names[split]) for split in names}
    manifest_file = path / record.MANIFEST_FILE
    manifest = None
    if manifest_file.exists():
        manifest = parse_manifest(manifest_file.read_bytes(), str(manifest_file))
        sizes = {
            name: Shard((path / name).stat().st_size) for split in names for name in names[split]
        }
        check_against_manifest(str(path), manifest, sizes)
        records = manifest.records
    else:
        records = {split: sum(map(_count_records, shards[split])) for split in shards}
    for split, number in records.items():
        if not number:
            raise DataError(
                f"{path / split}: all {len(shards[split])} shards are empty. "
                f"The {split} split needs at least one record"
            )
    class_names = read_class_names(path / record.LABELS_FILE, manifest)
    return Dataset(path, shards, records, class_names, manifest.synsets if manifest else None)


def _shard_names(path: Path, split: str) -> set[str]:
    shards = (file for file in path.glob(record.shard_pattern(split)) if file.is_file())
    return {f"{split}/{shard.name}" for shard in shards}


def order_shards(folder: str, split: str, found: Iterable[str]) -> tuple[str, ...]:
    """The names of a split's shards in order; none where the split is absent.

    Args:
        folder: The data set's, to be named in errors.
        split: The split's name.
        found: Names inside the folder of the files that are to be its shards.

    Raises:
        DataError: By their names they are not all the shards of one set.
    """
    found = set(found)
    counts = {_announced_count(folder, name) for name in found}
    if not counts:
        return ()
    if len(counts) > 1:
        raise DataError(
            f"{folder}/{split} mixes shard sets of {' and '.join(map(str, sorted(counts)))}. "
            "Keep the shards of one"
        )
    count = counts.pop()
    names = [record.shard_name(split, index, count) for index in range(count)]
    missing = [name for name in names if name not in found]
    if missing:
        raise DataError(
            f"{folder}: {count} {split} shards announced, {count - len(missing)} present: "
            f"missing {listed(missing)}. Copy the data set again"
        )
    unannounced = sorted(found.difference(names))
    if unannounced:
        raise DataError(
            f"{folder}: {count} {split} shards announced, so {listed(unannounced)} cannot be one. "
            "Remove it"
        )
    return tuple(names)


def _announced_count(folder: str, name: str) -> int:
    match = re.search(r"-\d{5}-of-(\d{5})$", name)
    if not match:
        raise DataError(
            f"{folder}/{name} would be read as a shard, but is not named like one, "
            f"{record.shard_name(record.TRAIN, 3, 128)}. Move it away; if it is a compressed "
            "shard, decompress it"
        )
    return int(match[1])


def listed(names: list[str], most: int = MOST_NAMED, separator: str = ", ") -> str:
    """The first of `names`, and how many more there are."""
    others = len(names) - most
    return separator.join(names[:most]) + (f" and {others:,} more" if others > 0 else "")


def _check_splits(path: Path, shards: Mapping[str, tuple[str, ...]]) -> None:
    missing = [split for split in record.SPLITS if not shards[split]]
    if not missing:
        return
    there = sorted(item.name for item in path.iterdir() if not item.name.startswith("."))
    wanted = " and ".join(record.shard_name(split, 0, 1) for split in missing)
    raise DataError(
        f"{path} has no {' and no '.join(missing)} shards. "
        f"It holds: {listed(there) or 'nothing'}. Wanted: {wanted}, with any numbers"
    )


def parse_manifest(content: bytes, name: str) -> Manifest:
    """Reads what a `manifest.json` holds.

    Args:
        content: The file's.
        name: Its path, to be named in errors.

    Raises:
        DataError: It is not one that dataprep wrote.
    """
    try:
        raw: dict[str, Any] = json.loads(content)
        splits = {split: raw["splits"][split] for split in record.SPLITS}
        return Manifest(
            records={split: int(facts["records"]) for split, facts in splits.items()},
            shards={
                shard: Shard(**facts)
                for split in splits.values()
                for shard, facts in split["shards"].items()
            },
            synsets=tuple(raw["synsets"]),
            labels_sha256=raw["labels_sha256"],
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{name} is not a manifest that dataprep wrote ({error!r}). "
            "Remove it, and the shards are taken as they are"
        ) from error


def check_against_manifest(folder: str, manifest: Manifest, found: Mapping[str, Shard]) -> None:
    """Raises DataError unless the shards `found` in `folder` are those that were written."""
    differences = manifest.differences(found)
    if differences:
        raise DataError(
            f"{folder} is not as its {record.MANIFEST_FILE} says: {listed(differences)}. Make or "
            f"copy the data set again; if the shards are right, remove {record.MANIFEST_FILE}"
        )


def _count_records(shard: Path) -> int:
    try:
        with shard.open("rb") as file:
            return tfrecord.count_records(file)
    except tfrecord.CorruptShardError as error:
        raise DataError(f"{shard}: {error}. Copy or write it again") from error


def read_class_names(labels: Path, manifest: Manifest | None) -> tuple[str, ...] | None:
    """Reads a `labels.txt`; None if there is none.

    Args:
        labels: The file.
        manifest: Says what it must be, if given.

    Raises:
        DataError: It does not name each class once, or is not the file that the manifest lists.
    """
    return (
        parse_class_names(labels.read_bytes(), str(labels), manifest) if labels.exists() else None
    )


def parse_class_names(content: bytes, name: str, manifest: Manifest | None) -> tuple[str, ...]:
    """Reads what a `labels.txt` holds.

    Args:
        content: The file's.
        name: Its path, to be named in errors.
        manifest: As for `read_class_names`.

    Raises:
        DataError: As `read_class_names` does.
    """
    if manifest and hashlib.sha256(content).hexdigest() != manifest.labels_sha256:
        raise DataError(
            f"{name} is not as {record.MANIFEST_FILE} says: its SHA-256 is another. Make or "
            f"copy the data set again; if the names are right, remove {record.MANIFEST_FILE}"
        )
    try:
        text = content.decode("utf-8-sig")  # some editors begin a file with a byte order mark
    except UnicodeDecodeError as error:
        raise DataError(f"{name} is not UTF-8: {error}. Save it as UTF-8") from error
    names: dict[str, int] = {}  # class name → its line
    for line, class_name in enumerate(text.removesuffix("\n").split("\n"), start=1):
        class_name = class_name.strip()
        if not class_name:
            raise DataError(f"{name}, line {line}: no name. Each line names one class")
        if class_name in names:
            raise DataError(
                f"{name}, line {line}: {class_name!r} is on line {names[class_name]} already. "
                "Each class needs a name of its own"
            )
        names[class_name] = line
    return tuple(names)
