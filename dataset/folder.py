"""Reads a data set's folder: which shards there are, how many records, which classes.

Imports nothing of TensorFlow, so that a wrong folder is reported at once.
"""

import itertools
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from dataset import conversion, record, tfrecord
from dataset.class_names import read_class_names
from dataset.errors import DataError, listed
from dataset.manifest import Shard, check_against_manifest, parse_manifest

INNER_SHARD = re.compile(rf"(.+)/({'|'.join(record.SPLITS)})/\2-\d{{5}}-of-\d{{5}}")
MOST_LOOKED_AT = 10_000  # files and folders, for what else a wrong folder may be


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
        path: Folder as `dataset.record` describes it; `python -m dataprep` makes one.

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
    check_splits(path, names)
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
            f"{record.shard_name(record.TRAIN, 3, 128)}. TFRecord files of other names, gzip "
            f"ones too, are taken by {conversion.command(folder)}; move away what is none"
        )
    return int(match[1])


def check_splits(path: Path, shards: Mapping[str, Collection[str]]) -> None:
    """Raises DataError unless each split has a shard.

    Args:
        path: The data set's folder.
        shards: Split → names of its shards.
    """
    missing = [split for split in record.SPLITS if not shards[split]]
    if not missing:
        return
    there = sorted(item.name for item in path.iterdir() if not item.name.startswith("."))
    wanted = " and ".join(record.shard_name(split, 0, 1) for split in missing)
    raise DataError(
        f"{path} has no {' and no '.join(missing)} shards. "
        f"It holds: {listed(there) or 'nothing'}. Wanted: {wanted}, with any numbers"
        f"{_other_records(path)}"
    )


def _other_records(path: Path) -> str:
    """A sentence on the TFRecord files that a folder holds elsewhere; empty if none is seen."""
    below = itertools.islice(path.rglob("*"), MOST_LOOKED_AT)
    files = (file.relative_to(path).as_posix() for file in below if file.is_file())
    found = sorted(name for name in files if conversion.TFRECORD_NAME.search(name.lower()))
    if not found:
        return ""
    inner = {match[1] for match in map(INNER_SHARD.fullmatch, found) if match}
    if inner:
        return f". Such shards are in {listed(sorted(str(path / name) for name in inner))}"
    return f". {conversion.command(str(path))} takes TFRecord files of other names: {listed(found)}"


def _count_records(shard: Path) -> int:
    try:
        with shard.open("rb") as file:
            return tfrecord.count_records(file)
    except tfrecord.CorruptShardError as error:
        raise DataError(f"{shard}: {error}. Copy or write it again") from error
