"""What becomes of an image's file on its way into a record.

JPEG files that are RGB or grey stay as they are, byte for byte; every other image becomes an RGB
JPEG, as the ImageNet conversion tool does it.
"""

import contextlib
import io
import struct
import warnings
from typing import NamedTuple

from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from dataset import record

FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF")  # not EPS, which runs a program
KEPT_MODES = ("L", "RGB")  # Pillow's, of JPEG files that stay as they are
MAX_BYTES = 2**28  # of a file
MAX_GREY16 = 65535

# Markers of a JPEG file; a segment has one, and its length.
START, END = b"\xff\xd8", b"\xff\xd9"
MARKER = 0xFF
FRAMES = (0xC0, 0xC1, 0xC2)  # baseline, extended, progressive: what every decoder knows
SCAN = 0xDA
SEGMENT = struct.Struct(">xBH")
FRAME = struct.Struct(">BHHB")  # bits a channel, height, width, channels

# Pillow: "Values above 95 should be avoided; … hardly any gain in image quality."
QUALITY = 95
NO_SUBSAMPLING = 0  # colours of a drawing keep their edges


class UnusableError(ValueError):
    """The image cannot be used; the message is the reason: a rule, then a colon and details."""


class JpegImage(NamedTuple):
    """An image as its record holds it."""

    encoded: bytes  # a JPEG file
    height: int  # pixels
    width: int  # pixels


def read_image(data: bytes) -> JpegImage:
    """Checks an image's file, and converts it where it is no RGB or grey JPEG.

    It is decoded, unless it is surely a whole JPEG file that is kept as it is. What a decoder would
    find inside its scans is left to the check of the records, which decodes all of them.

    Args:
        data: A file in one of `FORMATS`, whatever its name says.

    Raises:
        UnusableError: It is empty, no such file, damaged, too small or too large.
    """
    if not data:
        raise UnusableError("empty file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's, of large images and of odd metadata
            return _read(data)
    except UnusableError:
        raise
    except Image.UnidentifiedImageError as error:
        raise UnusableError(f"not an image: none of {', '.join(FORMATS)}") from error
    except Image.DecompressionBombError as error:  # Pillow's bound, found before ours is
        raise UnusableError(f"too large: the most is {record.MAX_PIXELS:,} pixels") from error
    except Exception as error:  # Pillow's decoders raise errors of a dozen kinds
        raise UnusableError(f"does not decode: {error or type(error).__name__}") from error


def _read(data: bytes) -> JpegImage:
    if size := _size_of_kept(data):
        _check_size(*size)
        return JpegImage(data, *size)
    image = Image.open(io.BytesIO(data), formats=FORMATS)  # reads the header only
    size = image.height, image.width
    _check_size(*size)
    image.load()
    if not (isinstance(image, JpegImageFile) and image.mode in KEPT_MODES):
        data = _as_rgb_jpeg(image)
    return JpegImage(data, *size)


def _size_of_kept(data: bytes) -> tuple[int, int] | None:
    """Height and width of a JPEG file that is kept as it is, if its markers leave no doubt.

    They are in order up to the first scan, tell of 8 bits and one or three channels, and the file
    ends where a JPEG file ends. All others are decoded: that takes Pillow ten times as long.

    https://www.w3.org/Graphics/JPEG/itu-t81.pdf, annex B
    """
    if not data.startswith(START) or not data.endswith(END):
        return None
    size = None
    place = len(START)
    with contextlib.suppress(IndexError, struct.error):  # the markers lead beyond the end
        while data[place] == MARKER:
            kind, length = SEGMENT.unpack_from(data, place)
            if kind in FRAMES:
                bits, height, width, channels = FRAME.unpack_from(data, place + SEGMENT.size)
                size = (height, width) if bits == 8 and channels in (1, 3) else None
            elif kind == SCAN:
                return size
            place += 2 + length
    return None


def _check_size(height: int, width: int) -> None:
    if min(width, height) < record.MIN_SIDE:
        raise UnusableError(
            f"too small: {width}×{height} pixels; the least is {record.MIN_SIDE} a side"
        )
    if width * height > record.MAX_PIXELS:
        raise UnusableError(
            f"too large: {width}×{height} pixels; the most is {record.MAX_PIXELS:,}"
        )


def _as_rgb_jpeg(image: Image.Image) -> bytes:
    """The first frame as an RGB JPEG file; alpha is dropped, as TensorFlow's decoders drop it."""
    if image.mode.startswith("I;16"):  # Pillow's own conversion would cut all above 255
        image = image.convert("I").point(lambda grey: grey * (255 / MAX_GREY16) + 0.5).convert("L")
    elif image.mode in ("I", "F"):
        raise UnusableError("32 bits a channel: which value is white is not known")
    buffer = io.BytesIO()
    image.convert("RGB").save(buffer, "JPEG", quality=QUALITY, subsampling=NO_SUBSAMPLING)
    return buffer.getvalue()
