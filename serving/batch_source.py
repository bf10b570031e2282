"""What batch prediction reads: a folder's image files, or the records of a data set's shards."""

import contextlib
import functools
import glob
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from apache_beam.io.filesystem import CompressionTypes, FileMetadata
from apache_beam.io.filesystems import FileSystems
from google.protobuf.message import DecodeError

from dataset import record
from dataset.class_names import parse_class_names
from dataset.example import parse
from dataset.image_files import is_image, is_junk, walk
from dataset.tfrecord import CorruptShardError, read_records
from serving import images

SHARD = re.compile(rf"({'|'.join(record.SPLITS)})/\1-\d{{5}}-of-\d{{5}}")

open_file = functools.partial(FileSystems.open, compression_type=CompressionTypes.UNCOMPRESSED)


@dataclass(frozen=True)
class ImageFile:
    """An image file.

    Attributes:
        name: Its path below the source.
        file: The file.
    """

    name: str
    file: FileMetadata

    @property
    def known(self) -> Mapping[str, Any]:
        """What a line says of it besides: nothing."""
        return {}

    def read(self, max_pixels: int) -> bytes:
        """The content; raises ImageError as `serving.images.read`."""
        images.check_size(self.file.size_in_bytes)
        try:
            with open_file(self.file.path) as opened:
                content = opened.read()
        except (FileNotFoundError, PermissionError) as error:  # others may pass: Beam tries again
            raise images.ImageError(f"cannot be read: {error.strerror}") from error
        images.check(content, max_pixels)
        return content


@dataclass(frozen=True)
class Record:
    """A record of a shard.

    Attributes:
        name: The shard's path below the source.
        known: What a line says of it besides: `record`, its number in the shard from 0, and, as far
            as it has them, `label` and `class`.
        image: Its image file.
        error: Why it has none.
    """

    name: str
    known: Mapping[str, Any]
    image: bytes = field(default=b"", repr=False)
    error: str = ""

    def read(self, max_pixels: int) -> bytes:
        """The image; raises ImageError as `serving.images.read`."""
        if self.error:
            raise images.ImageError(self.error)
        images.check_size(len(self.image))
        images.check(self.image, max_pixels)
        return self.image


Item = ImageFile | Record


def find_shards(source: str) -> list[str]:
    """Names of the shards of the data set in the folder `source`; empty if it is none."""
    patterns = [f"{glob.escape(source)}/{record.shard_pattern(split)}" for split in record.SPLITS]
    paths = [file.path for found in FileSystems.match(patterns) for file in found.metadata_list]
    names = (path.removeprefix(f"{source}/") for path in paths)
    return sorted(name for name in names if SHARD.fullmatch(name))


def find_images(source: str) -> Iterator[ImageFile]:
    """The images below the folder `source`, which has no slash at its end."""
    if is_local(source):
        files = (FileMetadata(f"{source}/{path}", size) for path, size in walk(Path(source)))
    else:
        [found] = FileSystems.match([f"{glob.escape(source)}/**"])
        files = iter(found.metadata_list)
    for file in files:
        name = file.path.removeprefix(f"{source}/")
        if is_image(name) and not is_junk(name):
            yield ImageFile(name, file)


def read_names(source: str) -> tuple[str, ...]:
    """The classes' names, in label order, of the data set in the folder `source`; empty if none.

    Raises:
        DataError: Its `labels.txt` is wrong.
    """
    path = f"{source}/{record.LABELS_FILE}"
    if not FileSystems.exists(path):
        return ()
    with open_file(path) as file:
        return parse_class_names(file.read(), path, None)


def read_shard(name: str, source: str, class_names: Sequence[str]) -> Iterator[Record]:
    """The records of a shard; where it is damaged the last one says so.

    Args:
        name: The shard's path below the source.
        source: The data set's folder, without a slash at its end.
        class_names: In label order; where they are not known a record's own key of its class is
            told.
    """
    number = -1
    with open_file(f"{source}/{name}") as shard:
        try:
            for number, serialized in enumerate(read_records(shard)):
                yield _record(name, number, serialized, class_names)
        except CorruptShardError as error:
            told = f"{error}; of this shard nothing after it was read"
            yield Record(name, {"record": number + 1}, error=told)


def _record(name: str, number: int, serialized: bytes, class_names: Sequence[str]) -> Record:
    known: dict[str, Any] = {"record": number}
    try:
        features = parse(serialized)
    except DecodeError:
        return Record(name, known, error="is no tf.Example")
    if labels := features[record.LABEL].int64_list.value:
        known["label"] = labels[0]
        if record.LABEL_BASE <= labels[0] < record.LABEL_BASE + len(class_names):
            known["class"] = class_names[labels[0] - record.LABEL_BASE]
    if "class" not in known and (keys := features[record.SYNSET].bytes_list.value):
        with contextlib.suppress(UnicodeDecodeError):
            known["class"] = keys[0].decode()
    contents = features[record.IMAGE].bytes_list.value
    if not contents:
        return Record(name, known, error=f"has no {record.IMAGE}")
    return Record(name, known, contents[0])


def is_local(path: str) -> bool:
    """Whether a path is one of this machine."""
    return FileSystems.get_scheme(path) is None
