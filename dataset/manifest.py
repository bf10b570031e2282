"""The manifest: what dataprep wrote of a data set, and whether the shards are still that."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dataset import record
from dataset.errors import DataError, listed


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
