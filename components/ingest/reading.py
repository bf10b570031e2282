"""Reads the shards of a data set for ImportExampleGen, checks every record, and reports."""

import collections
import dataclasses
import hashlib
import json
from collections.abc import Iterable, Iterator

import apache_beam as beam
from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems

from components.ingest.report import Report
from components.transform.image import decodes
from dataset import record
from dataset.manifest import Shard
from dataset.record_check import DIGEST_BYTES, CheckedRecord, Problem, Rules, check_all
from dataset.tfrecord import CorruptShardError, HashingReader, read_records

PARTS = 16  # of all images, by their digest; each is searched for duplicates by itself

# Outputs of ReadShard.
GOOD_RECORDS = "good_records"  # (split, bytes)
REPORTS = "reports"  # Report, one for each shard
IMAGES = "images"  # (part, (split, joined digests of a shard's images that are in this part))
BAD_PLACES = "bad_places"  # str: lines of QUARANTINE_FILE
BAD_RECORDS = "bad_records"  # bytes: the records that they tell of
OUTPUTS = (GOOD_RECORDS, REPORTS, IMAGES, BAD_PLACES, BAD_RECORDS)


@dataclasses.dataclass(frozen=True)
class ShardFile:
    """A shard: its split, path, name inside the data set's folder, and size."""

    split: str
    path: str
    name: str
    bytes: int


def find_shards(folder: str) -> Iterator[ShardFile]:
    """Yields the shards of a data set's `folder`, a split's in the order of their names."""
    for split in record.SPLITS:
        [match] = FileSystems.match([FileSystems.join(folder, record.shard_pattern(split))])
        for metadata in sorted(match.metadata_list, key=lambda metadata: metadata.path):
            name = FileSystems.split(metadata.path)[1]
            yield ShardFile(split, metadata.path, f"{split}/{name}", metadata.size_in_bytes)


def split_bytes(shards: Iterable[ShardFile]) -> dict[str, int]:
    """How many bytes of shards each split has."""
    sizes = dict.fromkeys(record.SPLITS, 0)
    for shard in shards:
        sizes[shard.split] += shard.bytes
    return sizes


class ReadShard(beam.DoFn):
    """Reads a shard and checks its records; gives OUTPUTS.

    Args:
      rules: What the records must keep to.
    """

    def __init__(self, rules: Rules) -> None:
        self._rules = rules

    def process(self, shard: ShardFile) -> Iterator[beam.pvalue.TaggedOutput]:
        """Called by Beam for each shard."""
        split, name = shard.split, shard.name
        report = Report()
        images: dict[int, list[bytes]] = collections.defaultdict(list)  # part → digests
        number = 0
        with FileSystems.open(shard.path, compression_type=CompressionTypes.UNCOMPRESSED) as opened:
            file = HashingReader(opened)
            try:
                for serialized, found in check_all(read_records(file), self._rules, decodes):
                    report.add(split, found, f"{name}, record {number}")
                    if found.problem is None:
                        digest = found.image_digest
                        images[digest[0] % PARTS].append(digest)
                        yield beam.pvalue.TaggedOutput(GOOD_RECORDS, (split, serialized))
                    else:
                        line = _bad_line(found, found.problem, name, number, serialized)
                        yield beam.pvalue.TaggedOutput(BAD_PLACES, line)
                        yield beam.pvalue.TaggedOutput(BAD_RECORDS, serialized)
                    number += 1
            except CorruptShardError as error:
                report.faults[name] = str(error)
            file.drain()
        report.shards[name] = Shard(file.bytes, number, file.sha256.hexdigest())
        yield beam.pvalue.TaggedOutput(REPORTS, report)
        for part, digests in images.items():
            yield beam.pvalue.TaggedOutput(IMAGES, (part, (split, b"".join(digests))))


def _bad_line(
    found: CheckedRecord, problem: Problem, shard: str, index: int, serialized: bytes
) -> str:
    """A line of QUARANTINE_FILE: the record `index`, from 0, of `shard` and what is wrong."""
    fields = {
        "shard": shard,
        "index": index,
        "name": found.name,
        "label": found.label or None,
        "reason": problem.reason,
        "detail": problem.detail,
        "sha256": hashlib.sha256(serialized).hexdigest(),
    }
    return json.dumps(fields, ensure_ascii=False)


def leaked(images: Iterable[tuple[str, bytes]]) -> Report:
    """Reports how many of the validation split's images the training split has too.

    Args:
      images: Splits with joined digests of images.
    """
    train: set[bytes] = set()
    val: collections.Counter[bytes] = collections.Counter()
    for split, joined in images:
        digests = (joined[i : i + DIGEST_BYTES] for i in range(0, len(joined), DIGEST_BYTES))
        (train if split == record.TRAIN else val).update(digests)
    return Report(leaked=sum(number for digest, number in val.items() if digest in train))
