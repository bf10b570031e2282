"""From TFRecord files to a collection of images, and from that to a data set's folder."""

import sys
from collections.abc import Iterator, Mapping, Sequence

from google.protobuf.message import DecodeError

from dataprep.collection import Collection, Collector, Unusable
from dataprep.convert import Job, check_share, convert
from dataprep.errors import PreparationError, UsageError
from dataprep.flags import (
    Making,
    check_making,
    check_place,
    check_shards,
    check_val_share,
    chosen_shards,
    same_again,
)
from dataprep.jpeg import UnusableError
from dataprep.terminal import showing
from dataprep.tfrecords.files import Place, RecordFile, RecordImages
from dataprep.tfrecords.labels import Classes, LabelError, LabelReader
from dataprep.tfrecords.reading import Flags, Reading, choose
from dataset import record
from dataset.conversion import contents
from dataset.errors import listed
from dataset.example import Feature, parse

COMMAND = "python -m dataprep tfrecords"
STEP = 500  # records, between two looks at how far it is
HOPELESS = 1_000  # unusable records; from here on the reading ends if far too many are in sight
NAMES = (record.FILENAME, "filename", "file_name")  # features that hold an image's name


def write(
    source: str,
    flags: Flags,
    val_share: float,
    train_shards: int | None,
    val_shards: int | None,
    making: Making,
) -> bool:
    """Writes the images of TFRecord files as a data set's folder.

    Args:
        source: A folder, a file, or a pattern of files.
        flags: What is said of the records.
        val_share: Share of each class for validation, where there is a training split only.
        train_shards: Number of training shards; None is one for `SHARD_IMAGES` images.
        val_shards: Number of validation shards; None likewise.
        making: The other flags.

    Returns:
        Whether it was written: False when this very data set is there already.

    Raises:
        UsageError: The source, or a flag, cannot be used.
        PreparationError: A file is damaged, too many records are unusable, or Beam failed.
        DataError: The file of the classes' names is faulty.
        OSError: The folder cannot be written.
    """
    asked = {record.TRAIN: train_shards, record.VAL: val_shards}
    check_shards(asked)
    check_making(making, source)
    check_val_share(val_share)
    if flags.labels is not None:
        check_place("--labels", flags.labels)
    if flags.label_base not in (None, 0, 1):
        raise UsageError(f"--label-base must be 0 or 1. Received: {flags.label_base}")
    reading = choose(source, flags)
    _tell(reading, val_share)
    collection, classes, unusable = _read(reading, making.max_left_out)
    _tell_classes(classes)
    if reading.splits.whole:
        collection = collection.split_off(val_share, making.seed)
    shards = chosen_shards(asked, collection.numbers())
    keys = f"--image-key {reading.image} --label-key {reading.label}"
    command = f"{COMMAND} {keys} --val-share {val_share} {same_again(shards, making)}"
    images = RecordImages(reading.files, reading.image)
    return convert(
        collection, classes.names, Job(images, shards, command, making, left_out=unusable)
    )


def _tell(reading: Reading, val_share: float) -> None:
    """Says on stderr what was found out of the source."""
    files = reading.files.files
    compressed = sum(file.compressed for file in files)
    lines = [f"{reading.files.folder}: {len(files):,} TFRecord files: {reading.splits.told}"]
    if reading.splits.whole:
        lines.append(f"no validation split: it gets {val_share:.0%} of each class (--val-share)")
    if compressed:
        lines.append(f"{compressed:,} of the files are gzip; unpacked beside the output meanwhile")
    lines.append(f"image: `{reading.image}`, label: `{reading.label}`, by {reading.origin}")
    ignored = [f for f in reading.files.ignored if f != record.LABELS_FILE]
    if ignored:
        lines.append(
            f"ignored {len(ignored):,} files that are no TFRecord files: {listed(list(ignored))}"
        )
    sys.stderr.write("".join(f"{line}\n" for line in lines))


def _tell_classes(classes: Classes) -> None:
    sys.stderr.write(f"{classes.told}\n")
    if classes.unused:
        sys.stderr.write(
            f"left out {len(classes.unused):,} classes without records: "
            f"{listed(list(classes.unused))}\n"
        )


def _read(reading: Reading, max_left_out: float) -> tuple[Collection, Classes, list[Unusable]]:
    """The images of all records, their classes, and the records without a usable one."""
    scan = _Scan(reading)
    files = reading.files.files
    with showing("Reading", len(files), "files") as tell:
        for number, file in enumerate(files):
            for count, at in scan.read(file):
                if count % STEP == 0:
                    read = number + at / file.size
                    tell(read)
                    scan.check_prospect(read / len(files), max_left_out)
            tell(number + 1)
    if scan.unusable:
        check_share(scan.unusable, scan.total, max_left_out)
    classes = scan.labels.classes()
    return scan.collector.collection(list(classes.names)), classes, scan.unusable


class _Scan:
    """Takes the labelled images of records, file by file.

    Attributes:
        collector: The images.
        labels: Their labels.
        unusable: Records without a label or an image.
        total: Number of records that were read.
    """

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self.collector = Collector()
        self.labels = LabelReader(reading.label, reading.base, reading.names)
        self.unusable: list[Unusable] = []
        self.total = 0

    def read(self, file: RecordFile) -> Iterator[tuple[int, int]]:
        """Takes the records of a file; yields how many records, and bytes of it, were read.

        Raises:
            PreparationError: The file is damaged.
        """
        count = 0
        for count, (place, serialized, at) in enumerate(self._reading.files.records(file), 1):
            self.total += 1
            try:
                self._take(place, serialized)
            except (LabelError, UnusableError) as error:
                self.unusable.append(Unusable(0, "", str(place), str(error)))
            yield count, at
        expected = self._reading.expected.get(file.name, count)
        if count != expected:
            raise PreparationError(
                f"{self._reading.files.path(file)} has {count:,} records instead of {expected:,}, "
                "which tensorflow_datasets tells of. Copy or make the data set again"
            )

    def check_prospect(self, read: float, max_left_out: float) -> None:
        """Ends the reading, where a flag is wrong say, before hours of it.

        Args:
            read: Share of the source that was read.
            max_left_out: Share of all records that may be unusable.

        Raises:
            PreparationError: There are twice as many already as there may be in all.
        """
        number = len(self.unusable)
        if number >= HOPELESS and number > 2 * max_left_out * self.total / read:
            check_share(self.unusable, self.total, max_left_out)

    def _take(self, place: Place, serialized: bytes) -> None:
        try:
            features = parse(serialized)
        except DecodeError as error:
            raise UnusableError("no tf.Example: it cannot be parsed as one") from error
        key = self._reading.image
        images: Sequence[bytes] = features[key].bytes_list.value if key in features else ()
        if len(images) != 1:
            raise UnusableError(
                f"no image: `{key}` is not one bytes value; it holds {contents(features)}"
            )
        label = self.labels.read(features)
        split = self._reading.splits.of[place.file]
        self.collector.add(
            split, label, _name(features) or str(place), place.entry(images[0]), str(place)
        )


def _name(features: Mapping[str, Feature]) -> str:
    """The name that a record gives its image; empty if it gives none."""
    for key in NAMES:
        if key in features and len(found := features[key].bytes_list.value) == 1:
            return found[0].decode(errors="replace")
    return ""
