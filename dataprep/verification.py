"""Reads every shard and record of a data set's folder, and finds all that is wrong with them."""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console

from components.transform.image import decodes
from dataprep.terminal import Advance, opened, reading, screen, table
from dataset import record
from dataset.class_names import read_class_names
from dataset.classes import Class, class_faults
from dataset.conversion import advice, label_0
from dataset.errors import DataError
from dataset.folder import check_splits, order_shards
from dataset.manifest import Manifest, Shard, parse_manifest
from dataset.record_check import LABEL_0, CheckedRecord, Problem, Rules, check_all
from dataset.tfrecord import OVERHEAD_BYTES, CorruptShardError, HashingReader, read_records


@dataclass(frozen=True)
class BadRecord:
    """A record that cannot be trained on.

    Attributes:
        split: The split that it is in.
        shard: The shard's name inside the data set's folder.
        index: Its place in the shard, from 0.
        name: Its file's name; empty if it has none.
        problem: What is wrong with it.
    """

    split: str
    shard: str
    index: int
    name: str
    problem: Problem

    def __str__(self) -> str:
        problem = f"{self.problem.reason}: {self.problem.detail}"
        name = f"{self.name}: " if self.name else ""
        return f"{self.shard}, record {self.index}: {name}{problem}"


@dataclass
class Findings:
    """What was found in the shards.

    Attributes:
        shards: Name inside the data set's folder → what was read of it, from end to end.
        damaged: Name → why it could not be read to its end.
        classes: Split → the classes of its good records.
        images: Split → digest of a good record's image → how many records have it.
        bad: The bad records.
    """

    shards: dict[str, Shard] = field(default_factory=dict)
    damaged: dict[str, str] = field(default_factory=dict)
    classes: dict[str, Counter[Class]] = field(
        default_factory=lambda: {split: Counter() for split in record.SPLITS}
    )
    images: dict[str, Counter[bytes]] = field(
        default_factory=lambda: {split: Counter() for split in record.SPLITS}
    )
    bad: list[BadRecord] = field(default_factory=list)

    @property
    def records(self) -> int:
        """Number of records that were read."""
        return sum(classes.total() for classes in self.classes.values()) + len(self.bad)

    def add(self, split: str, shard: str, index: int, found: CheckedRecord) -> None:
        """Adds a record."""
        if found.problem:
            self.bad.append(BadRecord(split, shard, index, found.name, found.problem))
        else:
            self.classes[split][found.label, found.synset] += 1
            self.images[split][found.image_digest] += 1


@dataclass(frozen=True)
class Verification:
    """What is wrong with a data set.

    Attributes:
        faults: Of its folder, its shards and its classes, each in a sentence.
        findings: What was found in its shards, the bad records among it.
    """

    faults: tuple[str, ...]
    findings: Findings

    @property
    def conversions(self) -> Counter[str]:
        """Flags of `dataprep tfrecords` → number of bad records that it takes with them."""
        found = (one.problem.conversion for one in self.findings.bad)
        return Counter(flags for flags in found if flags is not None)

    @property
    def good(self) -> bool:
        """Whether nothing is wrong."""
        return not self.faults and not self.findings.bad

    def repeated(self, split: str) -> int:
        """Number of records whose image an earlier record of the split has already."""
        images = self.findings.images[split]
        return images.total() - len(images)

    @property
    def leaked(self) -> int:
        """Number of validation records whose image is in the training split too."""
        train, val = (self.findings.images[split] for split in record.SPLITS)
        return sum(number for image, number in val.items() if image in train)


def find_shards(folder: Path) -> dict[str, str]:
    """Every shard that is in the folder, by its name there → its split."""
    return {
        f"{split}/{shard.name}": split
        for split in record.SPLITS
        for shard in sorted(folder.glob(record.shard_pattern(split)))
    }


def verify(folder: Path, advance: Advance) -> Verification:
    """Reads all there is in the shards, past what is wrong with one of them.

    Args:
        folder: The data set's.
        advance: Called with the bytes that were read.
    """
    faults: list[str] = []
    manifest = _read_manifest(folder, faults)
    rules = _read_rules(folder, manifest, faults)
    shards = find_shards(folder)
    findings = Findings()
    for name, split in shards.items():
        _read_shard(folder, name, split, rules, advance, findings)
    faults += [
        f"{name}: {damage}. Copy or write it again" for name, damage in findings.damaged.items()
    ]
    if manifest:
        damaged = {n: shard for n, shard in manifest.shards.items() if n in findings.damaged}
        # What is damaged was reported above.
        faults += manifest.differences(damaged | findings.shards)
    else:
        names = {
            split: [name for name in shards if shards[name] == split] for split in record.SPLITS
        }
        with _noted(faults):
            check_splits(folder, names)
        for split in record.SPLITS:
            with _noted(faults):
                order_shards(str(folder), split, names[split])
    if number := sum(one.problem.reason == LABEL_0 for one in findings.bad):
        faults.append(label_0(number, str(folder)))
    if set(shards.values()) == set(record.SPLITS):
        faults += class_faults(findings.classes, rules.num_classes)
    return Verification(tuple(faults), findings)


@contextmanager
def _noted(faults: list[str]) -> Iterator[None]:
    try:
        yield
    except DataError as error:
        faults.append(str(error))


def _read_manifest(folder: Path, faults: list[str]) -> Manifest | None:
    file = folder / record.MANIFEST_FILE
    if file.exists():
        with _noted(faults):
            return parse_manifest(file.read_bytes(), str(file))
    return None


def _read_rules(folder: Path, manifest: Manifest | None, faults: list[str]) -> Rules:
    """What the records must keep to, by `labels.txt` and the manifest."""
    synsets = manifest.synsets if manifest else ()
    names = None
    with _noted(faults):
        names = read_class_names(folder / record.LABELS_FILE, manifest)
        if manifest and names is None:
            faults.append(f"{record.LABELS_FILE} is missing")
    return Rules(num_classes=len(synsets or names or ()), synsets=synsets)


def _read_shard(
    folder: Path, name: str, split: str, rules: Rules, advance: Advance, findings: Findings
) -> None:
    """Adds to `findings` what is in a shard."""
    number = 0
    try:
        with (folder / name).open("rb") as opened:
            file = HashingReader(opened)
            for serialized, found in check_all(read_records(file), rules, decodes):
                findings.add(split, name, number, found)
                advance(len(serialized) + OVERHEAD_BYTES)
                number += 1
        findings.shards[name] = Shard(file.bytes, number, file.sha256.hexdigest())
    except (CorruptShardError, OSError) as error:
        findings.damaged[name] = str(error)


MOST_NAMED = 20  # bad records that are named unless all are wanted


def report(folder: Path, *, all_records: bool) -> bool:
    """Reads a data set and prints what is wrong with it.

    Args:
        folder: The data set's.
        all_records: Whether to name every bad record, however many there are.

    Returns:
        Whether nothing is wrong.

    Raises:
        UsageError: There is no such folder.
        PreparationError: The folder cannot be read.
    """
    started = time.monotonic()
    with opened(folder), reading(folder / name for name in find_shards(folder)) as advance:
        found = verify(folder, advance)
    findings = found.findings
    rate = findings.records / (time.monotonic() - started)
    console = screen()
    show(found, folder, console, all_records=all_records)
    shards = len(findings.shards) + len(findings.damaged)
    read = f"{findings.records:,} records in {shards:,} shards ({rate:,.0f} records/s)"
    if found.good:
        console.print(f"{folder}: all good: {read}")
    else:
        bad, faults = len(findings.bad), len(found.faults)
        console.print(f"{folder}: not good: bad records: {bad:,}, other faults: {faults:,}: {read}")
    return found.good


def show(found: Verification, folder: Path, console: Console, *, all_records: bool) -> None:
    """Prints what is wrong."""
    for fault in found.faults:
        console.print(fault)
    bad = found.findings.bad
    if bad:
        _show_reasons(found, console)
        for one in bad if all_records else bad[:MOST_NAMED]:
            console.print(str(one))
        if len(bad) > MOST_NAMED and not all_records:
            console.print(f"… and {len(bad) - MOST_NAMED:,} more: --all names them")
        console.print(advice(str(folder), found.conversions), end="")
    _show_repeated(found, console)


def _show_reasons(found: Verification, console: Console) -> None:
    reasons = Counter((one.problem.reason, one.split) for one in found.findings.bad)
    shown = table("bad records", *record.SPLITS, numbers=1)
    for reason in sorted({reason for reason, _ in reasons}):
        shown.add_row(reason, *(f"{reasons[reason, split]:,}" for split in record.SPLITS))
    console.print(shown)


def _show_repeated(found: Verification, console: Console) -> None:
    """Reports images that are there more than once, for which no data set is refused."""
    for split in record.SPLITS:
        if repeated := found.repeated(split):
            console.print(f"note: {split} records that repeat an image of {split}: {repeated:,}")
    if found.leaked:
        console.print(
            f"note: val records whose image is in train too: {found.leaked:,}; "
            "what a model scores on them tells nothing"
        )
