"""Writes shards, and the manifest that lists them."""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from types import TracebackType
from typing import Any

from dataprep.storage import create_file
from dataset import record, tfrecord
from dataset.example import Example, Serializer


@dataclass(frozen=True)
class ShardFacts:
    """What the manifest says of a shard.

    Attributes:
        records: Their number.
        bytes: Of the file.
        sha256: Of the file.
        classes: Synset → number of records, of those the shard has.
    """

    records: int
    bytes: int
    sha256: str
    classes: Mapping[str, int]


class ShardWriter:
    """Writes the TFRecord file at `path`, and takes down what the manifest needs."""

    def __init__(self, path: str) -> None:
        self._file = create_file(path)
        self._serializer = Serializer()
        self._digest = hashlib.sha256()
        self._bytes = 0
        self._classes: Counter[str] = Counter()

    def write(self, example: Example) -> None:
        """Appends a record."""
        data = tfrecord.frame(self._serializer.serialize(example))
        self._file.write(data)
        self._digest.update(data)
        self._bytes += len(data)
        self._classes[example.synset] += 1

    @property
    def facts(self) -> ShardFacts:
        """The facts of all that was written."""
        return ShardFacts(
            self._classes.total(), self._bytes, self._digest.hexdigest(), dict(self._classes)
        )

    def __enter__(self) -> "ShardWriter":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._file.close()


def write_labels(folder: str, classes: Mapping[str, str]) -> str:
    """Writes the classes' names, given by synset in label order; returns the file's SHA-256."""
    text = "".join(f"{name}\n" for name in classes.values()).encode()
    with create_file(f"{folder}/{record.LABELS_FILE}") as file:
        file.write(text)
    return hashlib.sha256(text).hexdigest()


def write_manifest(
    folder: str,
    made_by: Mapping[str, str],
    classes: Mapping[str, str],
    shards: Mapping[str, ShardFacts],
    left_out: Mapping[str, str],
    doubtful: Mapping[str, str],
) -> None:
    """Writes `labels.txt`, and last of all `manifest.json`.

    Args:
        folder: The data set's.
        made_by: The command, and the source's digest.
        classes: Synset → the class's name, in label order.
        shards: Shard's name → its facts.
        left_out: Path of an image that could not be used → the reason.
        doubtful: Path of an image that was taken → what speaks against it.
    """
    manifest = {
        "tool": f"fishnet-tfx {metadata.version('fishnet-tfx')}",
        "made_by": made_by,
        "labels_sha256": write_labels(folder, classes),
        "synsets": list(classes),
        "splits": {split: _told(split, shards, classes) for split in record.SPLITS},
        "left_out": _reasons(left_out),
        "doubtful": _reasons(doubtful),
    }
    text = json.dumps(manifest, indent=2, ensure_ascii=False)
    with create_file(f"{folder}/{record.MANIFEST_FILE}") as file:
        file.write(f"{text}\n".encode())


def _reasons(reasons: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"file": file, "reason": reason} for file, reason in reasons.items()]


def _told(
    split: str, shards: Mapping[str, ShardFacts], synsets: Mapping[str, str]
) -> dict[str, Any]:
    inside = {name: facts for name, facts in shards.items() if name.startswith(f"{split}/")}
    counts = sum((Counter(facts.classes) for facts in inside.values()), Counter())
    return {
        "records": counts.total(),
        "classes": {synset: counts[synset] for synset in synsets},
        "shards": {
            name: {"records": facts.records, "bytes": facts.bytes, "sha256": facts.sha256}
            for name, facts in inside.items()
        },
    }
