"""Images of the report: thumbnails as data URIs, sizes, and what was quarantined."""

import base64
import io
import itertools
from collections.abc import Iterator, Set

import tensorflow as tf
from google.protobuf.message import DecodeError
from PIL import Image, ImageOps
from tfx.dsl.io import fileio
from tfx.types import artifact_utils

from components.evaluate.answers import image_digest
from components.ingest.report import NAMED_PROBLEMS, QUARANTINED_RECORDS
from components.report import keys
from components.report.outcome import Artifacts
from dataset import record

SIDE = 96  # pixels, of a thumbnail
QUALITY = 80  # of its JPEG
MEASURED = 1000  # images; the records lie in random order


def thumbnails(artifacts: Artifacts, split: str, digests: Set[str]) -> dict[str, str]:
    """Thumbnails of those images of a split that have one of the digests, by digest."""
    found: dict[str, str] = {}
    missing = set(digests)
    for file in _image_files(artifacts, split):
        if not missing:
            break
        digest = image_digest(file)
        if digest in missing:
            missing.remove(digest)
            if drawn := thumbnail(file):
                found[digest] = drawn
    return found


def thumbnail(file: bytes) -> str | None:
    """A small JPEG of an image, upright, as a data URI; None if it cannot be read."""
    try:
        with Image.open(io.BytesIO(file)) as image:
            image.draft("RGB", (SIDE, SIDE))
            small = ImageOps.exif_transpose(image).convert("RGB")
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


def quarantined(uri: str) -> list[tuple[str, str | None]]:
    """File names of the first bad records, and their thumbnails; None where there is no image.

    Args:
      uri: Of the data report.
    """
    files = sorted(fileio.glob(f"{uri}/{QUARANTINED_RECORDS}-*.tfrecord"))
    found: list[tuple[str, str | None]] = []
    for serialized in tf.data.TFRecordDataset(files).take(NAMED_PROBLEMS).as_numpy_iterator():
        try:
            features = tf.train.Example.FromString(serialized).features.feature
        except DecodeError:  # which is what is wrong with it
            found.append(("", None))
            continue
        name = b"".join(features[record.FILENAME].bytes_list.value).decode(errors="replace")
        found.append((name, thumbnail(b"".join(features[record.IMAGE].bytes_list.value))))
    return found


def _image_files(artifacts: Artifacts, split: str) -> Iterator[bytes]:
    """The image files of a split's examples, in their order."""
    examples = keys.single(artifacts, keys.EXAMPLES)
    if not examples:
        return
    files = sorted(fileio.glob(f"{artifact_utils.get_split_uri([examples], split)}/*"))
    for serialized in tf.data.TFRecordDataset(files, "GZIP").as_numpy_iterator():
        features = tf.train.Example.FromString(serialized).features.feature
        yield features[record.IMAGE].bytes_list.value[0]
