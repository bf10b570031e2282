"""What a record must be to be trained on."""

import dataclasses
import hashlib
import io
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from google.protobuf.message import DecodeError
from PIL import Image
from PIL.GifImagePlugin import GifImageFile

from dataset import record
from dataset.conversion import (
    CONVERTED,
    DECODED,
    contents,
    described,
    guess_keys,
    image_format,
    key_flags,
    values,
)
from dataset.example import Feature, parse
from dataset.jpeg_damage import damage_of

LABEL_0 = "label 0"  # reason of a problem; with one such record a class may be lost
BATCH = 64  # records that are checked at a time, or fewer,
BATCH_BYTES = 2**24  # as soon as they are so much
DIGEST_BYTES = 16  # of an image

# Whether all of some encoded images decode: only the decoder that training uses can tell.
Decodes = Callable[[Sequence[bytes]], bool]

# Kinds of the features that the record may have; each has at most one value.
KINDS = {
    record.IMAGE: "bytes_list",
    record.LABEL: "int64_list",
    record.SYNSET: "bytes_list",
    record.FORMAT: "bytes_list",
    record.FILENAME: "bytes_list",
    record.HEIGHT: "int64_list",
    record.WIDTH: "int64_list",
    record.COLORSPACE: "bytes_list",
    record.CHANNELS: "int64_list",
}


@dataclasses.dataclass(frozen=True)
class Rules:
    """What records must keep to.

    Attributes:
      num_classes: Labels must not exceed it; 0 if it is the number of `synsets` or, without them,
        to be learnt from the training split.
      synsets: The classes' keys in label order; empty where they are not known.
      min_side: Least width and height of an image, pixels.
      max_pixels: Greatest width × height of an image.
    """

    num_classes: int = 0
    synsets: tuple[str, ...] = ()
    min_side: int = record.MIN_SIDE
    max_pixels: int = record.MAX_PIXELS


class Problem(ValueError):  # noqa: N818  (raised inside this module alone)
    """What is wrong with a record.

    Attributes:
      reason: Which rule it breaks, in the same words for every such record.
      detail: What is wrong with this one.
      conversion: With which flags `python -m dataprep tfrecords` takes such records; None where it
        does not.
    """

    def __init__(self, reason: str, detail: str, conversion: str | None = None) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail
        self.conversion = conversion


@dataclasses.dataclass
class CheckedRecord:
    """What is known of a record.

    Attributes:
      name: Its file's name; empty if the record does not say it.
      image: The encoded image.
      label: From `record.LABEL_BASE`; 0 if it is not one of the classes.
      synset: The class's key; empty if the record has none.
      problem: What is wrong with it; None if it is good.
    """

    name: str
    image: bytes = b""
    label: int = 0
    synset: str = ""
    problem: Problem | None = None

    @property
    def image_digest(self) -> bytes:
        """DIGEST_BYTES that are the same for the same image."""
        return hashlib.blake2b(self.image, digest_size=DIGEST_BYTES).digest()


def check_all(
    records: Iterable[bytes], rules: Rules, decodes: Decodes
) -> Iterator[tuple[bytes, CheckedRecord]]:
    """Yields records with what is known of them.

    Those that came before an error in `records` are checked before it is passed on.

    Args:
      records: Serialized tf.Examples.
      rules: What they must keep to.
      decodes: Of the image graph.
    """
    batch: list[bytes] = []
    try:
        for serialized in records:
            batch.append(serialized)
            if len(batch) == BATCH or sum(map(len, batch)) >= BATCH_BYTES:
                full, batch = batch, []
                yield from zip(full, check_records(full, rules, decodes), strict=True)
    except Exception:
        yield from zip(batch, check_records(batch, rules, decodes), strict=True)
        raise
    yield from zip(batch, check_records(batch, rules, decodes), strict=True)


def check_records(batch: Sequence[bytes], rules: Rules, decodes: Decodes) -> list[CheckedRecord]:
    """Checks records.

    Args:
      batch: Serialized tf.Examples, some dozens: their images are decoded in one call.
      rules: What they must keep to.
      decodes: Of the image graph.
    """
    checked = [_check_before_decoding(serialized, rules) for serialized in batch]
    intact = [found for found in checked if found.problem is None]
    if not decodes([found.image for found in intact]):
        for found in intact:
            if not decodes([found.image]):
                found.problem = Problem("image does not decode", "its data are damaged")
    for found in checked:
        if found.problem is None and (damage := damage_of(found.image)):
            found.problem = Problem("image is damaged", damage)
    return checked


def _check_before_decoding(serialized: bytes, rules: Rules) -> CheckedRecord:
    try:
        features = parse(serialized)
    except DecodeError:
        return CheckedRecord(
            "", problem=Problem("no tf.Example", "the record is no serialized tf.Example")
        )
    name, image = (_first(features, key) for key in (record.FILENAME, record.IMAGE))
    checked = CheckedRecord(name.decode(errors="replace"), image)
    try:
        _check_keys(features)
        checked.label = _check_label(features[record.LABEL], rules)
        _check_kinds(features)
        checked.synset = _check_synset(_first(features, record.SYNSET), checked.label, rules)
        _check_image(image, rules)
    except Problem as problem:
        checked.problem = problem
    return checked


def _first(features: Mapping[str, Feature], key: str) -> bytes:
    """The first value of a feature of bytes; empty where there is none."""
    return next(iter(features[key].bytes_list.value), b"") if key in features else b""


def _check_keys(features: Mapping[str, Feature]) -> None:
    """Checks that the features that are needed have a value, of whatever type."""
    lacking = [
        key
        for key in (record.IMAGE, record.LABEL)
        if key not in features or not values(features[key])
    ]
    if not lacking:
        return
    image, label = guess_keys(features)
    raise Problem(
        "no image" if record.IMAGE in lacking else "no label",
        f"no {' and no '.join(f'`{key}`' for key in lacking)}: it holds {contents(features)}",
        key_flags(image, label) if image and label else None,
    )


def _check_label(feature: Feature, rules: Rules) -> int:
    labels = values(feature)
    if feature.WhichOneof("kind") != KINDS[record.LABEL] or len(labels) != 1:
        raise Problem(
            "label of another type",
            f"`{record.LABEL}` is {described(feature)}; it must be one int64",
            conversion="",
        )
    [label] = labels
    if label == 0:
        raise Problem(LABEL_0, f"no class has it; labels count from {record.LABEL_BASE}")
    last = rules.num_classes or len(rules.synsets) or record.MAX_CLASSES
    if not record.LABEL_BASE <= label <= last:
        raise Problem("label out of range", f"label {label} is not in {record.LABEL_BASE}..{last}")
    return label


def _check_kinds(features: Mapping[str, Feature]) -> None:
    """Checks what the readers of the next components would end the run for."""
    for name, kind in KINDS.items():
        found = features[name].WhichOneof("kind") if name in features else None
        if found is None:
            continue
        if found != kind:
            raise Problem("wrong type", f"`{name}` is {found} instead of {kind}")
        number = len(getattr(features[name], kind).value)
        if number > 1:
            raise Problem("several values", f"has {number} values of `{name}` instead of one")


def _check_synset(encoded: bytes, label: int, rules: Rules) -> str:
    try:
        synset = encoded.decode()
    except UnicodeDecodeError as error:
        raise Problem("class's key", f"`{record.SYNSET}` is not UTF-8: {encoded!r}") from error
    if synset and synset.splitlines() != [synset]:
        raise Problem("class's key", f"`{record.SYNSET}` has a line break: {synset!r}")
    index = label - record.LABEL_BASE
    if synset and index < len(rules.synsets) and synset != rules.synsets[index]:
        raise Problem(
            "wrong class",
            f"label {label} is {rules.synsets[index]!r}, but its `{record.SYNSET}` is {synset!r}",
        )
    return synset


def _check_image(image: bytes, rules: Rules) -> None:
    """Checks the format, and the size that the image's header says; nothing is decoded yet."""
    if not image:
        raise Problem("no image", f"`{record.IMAGE}` is empty")
    try:
        opened = Image.open(io.BytesIO(image))
        # TensorFlow's decoder takes only the first frame, but the memory and the time for all.
        animated = isinstance(opened, GifImageFile) and opened.is_animated
    except Image.DecompressionBombError as error:
        raise Problem("image too large", str(error)) from error
    except (OSError, SyntaxError, ValueError, IndexError, struct.error) as error:
        # Pillow's plugins differ in this.
        _check_format(image_format(image))
        raise Problem("image does not decode", "it is no image file") from error
    _check_format(image_format(image) or str(opened.format))
    if animated:
        raise Problem("image is animated", "it is a GIF of several frames")
    width, height = opened.size
    if width * height > rules.max_pixels:
        raise Problem(
            "image too large", f"{width}×{height} is more than {rules.max_pixels:,} pixels"
        )
    if min(width, height) < rules.min_side:
        raise Problem(
            "image too small", f"{width}×{height}; each side needs {rules.min_side} pixels"
        )


def _check_format(found: str) -> None:
    """Checks that every version of TensorFlow decodes a format; empty is none that is known.

    By the file's own kind: newer versions decode more, and the verdict must not depend on them.
    """
    if found and found not in DECODED:
        raise Problem(
            "image format",
            f"it is {found}, which TensorFlow does not decode; {', '.join(DECODED)} are decoded",
            conversion="" if found in CONVERTED else None,
        )
