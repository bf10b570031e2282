"""Reads a data set's folder: which shards there are, how many records, which classes.

Imports nothing of TensorFlow, so that a wrong folder is told of at once.
"""

import json
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from components import record

# A TFRecord: length (uint64), masked CRC of the length (uint32), data, masked CRC of the data.
# https://www.tensorflow.org/tutorials/load_data/tfrecord#tfrecords_format_details
HEADER = struct.Struct("<QI")
FOOTER_BYTES = 4

MOST_NAMED = 3  # missing shards that an error names; the others are counted


class DataError(ValueError):
    """The data cannot be used; the message names the file, the rule and what to do."""


@dataclass(frozen=True)
class Dataset:
    """What a data set's folder holds.

    Attributes:
        path: The folder.
        shards: Split name → its shards in order.
        records: Split name → its number of records, at least 1.
        class_names: The classes' names in label order; None where the folder has no `labels.txt`.
    """

    path: Path
    shards: Mapping[str, tuple[Path, ...]]
    records: Mapping[str, int]
    class_names: tuple[str, ...] | None


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
            "`python -m dataprep --help` tells how to make one"
        )
    if not path.is_dir():
        raise NotADirectoryError(
            f"{path} is a file. The folder that holds train/ and val/ is wanted"
        )
    shards = {split: _find_shards(path, split) for split in record.SPLITS}
    _check_splits(path, shards)
    manifest = path / record.MANIFEST_FILE
    if manifest.exists():
        records = _records_by_manifest(manifest, shards)
    else:
        records = {split: sum(map(_count_records, shards[split])) for split in shards}
    for split, number in records.items():
        if not number:
            raise DataError(
                f"{path / split}: all {len(shards[split])} shards are empty. "
                f"The {split} split needs at least one record"
            )
    return Dataset(path, shards, records, _read_class_names(path / record.LABELS_FILE))


def _find_shards(path: Path, split: str) -> tuple[Path, ...]:
    """The split's shards in order; none where the split is absent."""
    found = {f"{split}/{shard.name}" for shard in path.glob(record.shard_pattern(split))}
    counts = {_announced_count(path, name) for name in found}
    if not counts:
        return ()
    if len(counts) > 1:
        raise DataError(
            f"{path / split} mixes shard sets of {' and '.join(map(str, sorted(counts)))}. "
            "Keep the shards of one"
        )
    count = counts.pop()
    names = [record.shard_name(split, index, count) for index in range(count)]
    missing = [name for name in names if name not in found]
    if missing:
        raise DataError(
            f"{path}: {count} {split} shards announced, {count - len(missing)} present: "
            f"missing {_listed(missing)}. Copy the data set again"
        )
    unannounced = sorted(found.difference(names))
    if unannounced:
        raise DataError(
            f"{path}: {count} {split} shards announced, so {_listed(unannounced)} cannot be one. "
            "Remove it"
        )
    return tuple(path / name for name in names)


def _announced_count(path: Path, name: str) -> int:
    match = re.search(r"-\d{5}-of-(\d{5})$", name)
    if not match:
        raise DataError(
            f"{path / name} would be read as a shard, but is not named like one, "
            f"{record.shard_name(record.TRAIN, 3, 128)}. Move it away; if it is a compressed "
            "shard, decompress it"
        )
    return int(match[1])


def _listed(names: list[str]) -> str:
    others = len(names) - MOST_NAMED
    return ", ".join(names[:MOST_NAMED]) + (f" and {others:,} more" if others > 0 else "")


def _check_splits(path: Path, shards: Mapping[str, tuple[Path, ...]]) -> None:
    missing = [split for split in record.SPLITS if not shards[split]]
    if not missing:
        return
    there = sorted(item.name for item in path.iterdir() if not item.name.startswith("."))
    wanted = " and ".join(record.shard_name(split, 0, 1) for split in missing)
    raise DataError(
        f"{path} has no {' and no '.join(missing)} shards. "
        f"It holds: {_listed(there) or 'nothing'}. Wanted: {wanted}, with any numbers"
    )


def _records_by_manifest(manifest: Path, shards: Mapping[str, tuple[Path, ...]]) -> dict[str, int]:
    """The numbers of records that the manifest tells, once its shards are those in the folder."""
    try:
        splits = json.loads(manifest.read_text("utf-8"))["splits"]
        records = {split: int(splits[split]["records"]) for split in shards}
        told = {
            manifest.parent / name: facts["bytes"]
            for split in shards
            for name, facts in splits[split]["shards"].items()
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{manifest} is not a manifest that dataprep wrote ({error!r}). "
            "Remove it, and the shards' records are counted"
        ) from error
    there = {shard: shard.stat().st_size for split in shards.values() for shard in split}
    for shard in sorted(told.keys() | there.keys()):
        if told.get(shard) != there.get(shard):
            raise DataError(
                f"{shard} has size {there.get(shard, 'none')} in the folder but "
                f"{told.get(shard, 'none')} in {manifest.name}. Make the data set again; if the "
                f"shards are right, remove {manifest.name}, and their records are counted"
            )
    return records


def _count_records(shard: Path) -> int:
    """Walks the framing of a TFRecord file, seeking over the data."""
    size = shard.stat().st_size
    count = start = 0
    with shard.open("rb") as file:
        while start < size:
            header = file.read(HEADER.size)
            end = size + 1  # of a record whose very header is cut short
            if len(header) == HEADER.size:
                end = start + HEADER.size + HEADER.unpack(header)[0] + FOOTER_BYTES
            if end > size:
                raise DataError(
                    f"{shard}: record {count}, at byte {start}, goes beyond the file's end at "
                    f"byte {size}. Shards are uncompressed TFRecord files; this one was cut short "
                    "or is something else. Copy or write it again"
                )
            file.seek(end)
            count, start = count + 1, end
    return count


def _read_class_names(labels: Path) -> tuple[str, ...] | None:
    if not labels.exists():
        return None
    try:
        text = labels.read_text("utf-8-sig")  # some editors begin a file with a byte order mark
    except UnicodeDecodeError as error:
        raise DataError(f"{labels} is not UTF-8: {error}. Save it as UTF-8") from error
    names: dict[str, int] = {}  # name → its line
    for line, name in enumerate(text.removesuffix("\n").split("\n"), start=1):
        name = name.strip()
        if not name:
            raise DataError(f"{labels}, line {line}: no name. Each line names one class")
        if name in names:
            raise DataError(
                f"{labels}, line {line}: {name!r} is on line {names[name]} already. "
                "Each class needs a name of its own"
            )
        names[name] = line
    return tuple(names)
