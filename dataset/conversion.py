"""Other tools' records and shards: what they hold, and the command that takes them."""

import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from dataset import record
from dataset.example import Feature

# What the first bytes tell of a file; TensorFlow decodes the first four, and tells them so too.
SIGNATURES = {
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"GIF8": "GIF",
    b"BM": "BMP",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
}
DECODED = ("JPEG", "PNG", "GIF", "BMP")  # by TensorFlow, on every version that is supported
CONVERTED = (*DECODED, "WebP", "TIFF")  # by dataprep
TFRECORD_NAME = re.compile(r"tfrec|-\d+-of-\d+")  # in names, in small letters, of such files
TYPES = {"bytes_list": "bytes", "int64_list": "int64", "float_list": "float"}

# The usual names of an image and of its class, the surest first.
IMAGE_KEYS = (record.IMAGE, "image", "image_raw", "img", "image/raw", "jpeg", "png")
LABEL_KEYS = (record.LABEL, "label", "class", "class_id", "target", "fine_label", "labels")

MOST_SHOWN = 12  # features that a message names
MOST_BYTES = 20  # of a text value that it shows


def image_format(data: bytes) -> str:
    """The format of an image's file by its first bytes; empty if they are not those of one."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WebP"
    if data[4:8] == b"ftyp" and data[8:12] in (b"avif", b"avis", b"heic", b"heix", b"mif1"):
        return "AVIF" if data[8:11] == b"avi" else "HEIF"
    return next((name for start, name in SIGNATURES.items() if data.startswith(start)), "")


def values(feature: Feature) -> Sequence[Any]:
    """The values of a feature: bytes, floats or integers; none where it has none."""
    kind = feature.WhichOneof("kind")
    return getattr(feature, kind).value if kind else ()


def described(feature: Feature) -> str:
    """What a feature is, e.g. `int64, 3` or `bytes, a PNG image`."""
    kind = feature.WhichOneof("kind")
    found = values(feature)
    if kind is None or not found:
        return "empty"
    if len(found) > 1:
        return f"{len(found)} values of {TYPES[kind]}"
    [value] = found
    if kind != "bytes_list":
        return f"{TYPES[kind]}, {value:g}" if kind == "float_list" else f"{TYPES[kind]}, {value}"
    if name := image_format(value):
        return f"bytes, {'an' if name == 'AVIF' else 'a'} {name} image"
    text = value[:MOST_BYTES].decode(errors="backslashreplace")
    return f"bytes, {text!r}{'…' if len(value) > MOST_BYTES else ''}"


def contents(features: Mapping[str, Feature]) -> str:
    """All features of a record with what they are, by name."""
    names = sorted(features)
    told = [f"`{name}` ({described(features[name])})" for name in names[:MOST_SHOWN]]
    if len(names) > MOST_SHOWN:
        told.append(f"{len(names) - MOST_SHOWN} more")
    return ", ".join(told) or "nothing"


def guess_keys(features: Mapping[str, Feature]) -> tuple[str | None, str | None]:
    """Which features seem to be the image and its label; None where that is not clear.

    The image is the one feature that holds an image's file, or the one of several that is called
    like one. The label is called like one, or is the one feature beside the image.
    """
    images = [name for name in features if image_format(_first_bytes(features[name]))]
    image = _single(images) or _first_of(IMAGE_KEYS, images)
    others = [name for name in features if name not in images and values(features[name])]
    label = _first_of(LABEL_KEYS, others) or _single(others)
    return image, label


def key_flags(image: str, label: str) -> str:
    """The flags that say which features are the image and its label."""
    return shlex.join(["--image-key", image, "--label-key", label])


def command(source: str, flags: str = "") -> str:
    """The command line that makes this project's shards of those in the folder `source`."""
    folders = shlex.join(["--source", source, "--output", f"{source.rstrip('/')}-converted"])
    return f"`python -m dataprep tfrecords {folders}{flags and ' '}{flags}`"


def advice(source: str, conversions: Mapping[str, int]) -> str:
    """A line with the command that takes bad records as they are; empty if there is none.

    Args:
        source: The data set's folder.
        conversions: Flags → number of records that are taken with them.
    """
    if not conversions:
        return ""
    flags = max(conversions, key=lambda flags: (conversions[flags], flags))
    return f"{command(source, flags)} makes shards in this format of such records.\n"


def label_0(number: int, source: str) -> str:
    """What is said of labels from 0, which are refused however few records have the label 0."""
    return (
        f"{number:,} records have the label 0: labels count from 0 here, from {record.LABEL_BASE} "
        f"in this format. {command(source, '--label-base 0')} makes shards in this format. If 0 "
        "stands for no class here, remove those records"
    )


def _first_bytes(feature: Feature) -> bytes:
    found: Sequence[bytes] = feature.bytes_list.value
    return found[0] if len(found) == 1 else b""


def _single(names: Sequence[str]) -> str | None:
    return names[0] if len(names) == 1 else None


def _first_of(wanted: Iterable[str], names: Sequence[str]) -> str | None:
    return next((name for name in wanted if name in names), None)
