"""Images of the report: thumbnails as data URIs, sizes, and what was quarantined."""

import base64
import dataclasses
import hashlib
import heapq
import io
import itertools
import json
from collections.abc import Iterable, Iterator, Set

import tensorflow as tf
from google.protobuf.message import DecodeError
from PIL import Image
from tfx.dsl.io import fileio
from tfx.types import artifact_utils

from components.evaluate.answers import image_digest
from components.ingest.report import NAMED_PROBLEMS, QUARANTINE_FILE, QUARANTINED_RECORDS
from components.report import keys
from components.report.outcome import Artifacts
from dataset import record
from dataset.upright import upright

SIDE = 96  # pixels, of a thumbnail
QUALITY = 80  # of its JPEG
MEASURED = 1000  # images; the records lie in random order


@dataclasses.dataclass(frozen=True)
class Quarantined:
    """A bad record.

    Attributes:
      place: Shard, and the record's number in it.
      name: The image's file name; empty if the record has none.
      detail: What is wrong.
      thumbnail: A data URI; None if there is no image that can be shown.
    """

    place: str
    name: str
    detail: str
    thumbnail: str | None


def thumbnails(artifacts: Artifacts, split: str, digests: Set[str]) -> dict[str, str]:
    """Thumbnails of those images of a split that have one of the digests, by digest."""
    return _drawn(((image_digest(file), file) for file in _image_files(artifacts, split)), digests)


def thumbnail(file: bytes) -> str | None:
    """A small JPEG of an image, upright, as a data URI; None if it cannot be read."""
    try:
        with Image.open(io.BytesIO(file)) as image:
            image.draft("RGB", (SIDE, SIDE))
            small = upright(image).convert("RGB")
        small.thumbnail((SIDE, SIDE))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):  # what Pillow raises
        return None
    drawn = io.BytesIO()
    small.save(drawn, "JPEG", quality=QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(drawn.getvalue()).decode()}"


def sizes(artifacts: Artifacts, split: str) -> list[tuple[int, int]]:
    """Height and width, in pixels, of the first `MEASURED` images of a split."""
    found = []
    for file in itertools.islice(_image_files(artifacts, split), MEASURED):
        with Image.open(io.BytesIO(file)) as image:
            found.append((image.height, image.width))
    return found


def quarantined(uri: str) -> list[Quarantined]:
    """The first bad records by shard and place in it, `NAMED_PROBLEMS` at most.

    Args:
      uri: Of the data report.
    """
    with fileio.open(f"{uri}/{QUARANTINE_FILE}", "rb") as file:
        lines = heapq.nsmallest(
            NAMED_PROBLEMS, map(json.loads, file), key=lambda line: (line["shard"], line["index"])
        )
    drawn = _drawn(_quarantined_files(uri), {line["sha256"] for line in lines})
    return [
        Quarantined(
            f"{line['shard']}, record {line['index']}",
            line["name"],
            line["detail"],
            drawn.get(line["sha256"]),
        )
        for line in lines
    ]


def _drawn(files: Iterable[tuple[str, bytes]], digests: Set[str]) -> dict[str, str]:
    """Thumbnails of those that have one of the digests, by digest; no more are read than need be.

    Args:
      files: Digest and image file of each.
      digests: Those that are wanted.
    """
    found: dict[str, str] = {}
    missing = set(digests)
    for digest, file in files:
        if not missing:
            break
        if digest in missing:
            missing.remove(digest)
            if drawn := thumbnail(file):
                found[digest] = drawn
    return found


def _quarantined_files(uri: str) -> Iterator[tuple[str, bytes]]:
    """SHA-256 and image file of each quarantined record; an empty one where there is none."""
    files = sorted(fileio.glob(f"{uri}/{QUARANTINED_RECORDS}-*.tfrecord"))
    for serialized in tf.data.TFRecordDataset(files).as_numpy_iterator():
        try:
            features = tf.train.Example.FromString(serialized).features.feature
            file = b"".join(features[record.IMAGE].bytes_list.value)
        except DecodeError:  # which is what is wrong with it
            file = b""
        yield hashlib.sha256(serialized).hexdigest(), file


def _image_files(artifacts: Artifacts, split: str) -> Iterator[bytes]:
    """The image files of a split's examples, in their order."""
    examples = keys.single(artifacts, keys.EXAMPLES)
    if not examples:
        return
    files = sorted(fileio.glob(f"{artifact_utils.get_split_uri([examples], split)}/*"))
    for serialized in tf.data.TFRecordDataset(files, "GZIP").as_numpy_iterator():
        features = tf.train.Example.FromString(serialized).features.feature
        yield features[record.IMAGE].bytes_list.value[0]
