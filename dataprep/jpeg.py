"""What becomes of an image's file on its way into a record.

JPEG files that are RGB or grey stay as they are, byte for byte; every other image becomes a JPEG,
upright, grey where it has grey levels only.
"""

import contextlib
import io
import struct
import warnings
from typing import NamedTuple

from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from dataset import record
from dataset.jpeg_damage import is_harmless, warning_of
from dataset.upright import SIDEWAYS, orientation_of, upright

FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF")  # not EPS, which runs a program
BEGINNINGS = {  # of files in these formats
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG": "PNG",
    b"GIF8": "GIF",
    b"BM": "BMP",
    b"RIFF": "WEBP",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
}
KEPT_MODES = ("L", "RGB")  # Pillow's, of JPEG files that stay as they are
GREY_MODES = ("1", "L", "LA", "La")  # Pillow's, without colours; and those of 16 bits
MAX_BYTES = 2**28  # of a file
MAX_GREY16 = 65535

# Markers of a JPEG file; a segment has one, and its length.
START, END = b"\xff\xd8", b"\xff\xd9"
MARKER = 0xFF
FRAMES = (0xC0, 0xC1, 0xC2)  # baseline, extended, progressive: what every decoder knows
APP1 = 0xE1
EXIF = b"Exif\0\0"  # begins an APP1 segment that has EXIF data
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
    height: int  # pixels, of the upright image
    width: int  # pixels, likewise
    channels: int  # 3, or 1 of a grey one
    doubt: str = ""  # what libjpeg warns of, if it is no damage for certain


class _Frame(NamedTuple):
    """What the markers of a JPEG file tell."""

    height: int  # pixels, as stored
    width: int
    channels: int
    orientation: int


def read_image(data: bytes, max_pixels: int = record.MAX_PIXELS) -> JpegImage:
    """Checks an image's file, and converts it where it is no RGB or grey JPEG.

    Args:
        data: A file in one of `FORMATS`, whatever its name says.
        max_pixels: The most, width × height.

    Raises:
        UnusableError: It is empty, no such file, damaged, too small or too large.
    """
    if not data:
        raise UnusableError("empty file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's, of large images and of odd metadata
            return _read(data, max_pixels)
    except UnusableError:
        raise
    except Image.UnidentifiedImageError as error:
        for beginning, file_format in BEGINNINGS.items():
            if data.startswith(beginning):
                raise UnusableError(
                    f"damaged: it begins as {file_format}, and its header cannot be read"
                ) from error
        raise UnusableError(f"not an image: none of {', '.join(FORMATS)}") from error
    except Image.DecompressionBombError as error:  # Pillow's bound, found before ours is
        raise UnusableError(f"too large: {error}") from error
    except Exception as error:  # Pillow's decoders raise errors of a dozen kinds
        raise UnusableError(f"does not decode: {error or type(error).__name__}") from error


def shown_size(image: Image.Image) -> tuple[int, int]:
    """Width and height, pixels, of an opened image as viewers show it."""
    width, height = image.size
    return (height, width) if orientation_of(image) in SIDEWAYS else (width, height)


def _read(data: bytes, max_pixels: int) -> JpegImage:
    if frame := _frame_of_kept(data):
        height, width = frame.height, frame.width
        _check_size(height, width, max_pixels)
        doubt = _doubt(data)
        if frame.orientation in SIDEWAYS:
            height, width = width, height
        return JpegImage(data, height, width, frame.channels, doubt)
    image: Image.Image = Image.open(io.BytesIO(data), formats=FORMATS)  # reads the header only
    _check_size(image.height, image.width, max_pixels)
    image.load()  # a TIFF file is upright from here on
    doubt = ""
    kept = False
    if isinstance(image, JpegImageFile):
        doubt = _doubt(data)
        kept = image.mode in KEPT_MODES
    image = upright(image)
    if not kept:
        image = _plain(image)
        data = _as_jpeg(image)
    return JpegImage(data, image.height, image.width, len(image.getbands()), doubt)


def _frame_of_kept(data: bytes) -> _Frame | None:
    """What a JPEG file that is kept as it is tells, if its markers leave no doubt.

    They are in order up to the first scan, tell of 8 bits and one or three channels, and the file
    ends where a JPEG file ends. All others are decoded by Pillow, which takes several times as
    long.

    https://www.w3.org/Graphics/JPEG/itu-t81.pdf, annex B
    """
    if not data.startswith(START) or not data.endswith(END):
        return None
    frame, orientation = None, 0
    place = len(START)
    with contextlib.suppress(IndexError, struct.error):  # the markers lead beyond the end
        while data[place] == MARKER:
            kind, length = SEGMENT.unpack_from(data, place)
            body, place = place + SEGMENT.size, place + 2 + length
            if kind in FRAMES:
                bits, height, width, channels = FRAME.unpack_from(data, body)
                legal = bits == 8 and channels in (1, 3)
                frame = _Frame(height, width, channels, orientation or 1) if legal else None
            elif kind == APP1 and not orientation and data.startswith(EXIF, body):
                orientation = orientation_of(data[body:place])
            elif kind == SCAN:
                return frame
    return None


def _check_size(height: int, width: int, max_pixels: int) -> None:
    if min(width, height) < record.MIN_SIDE:
        raise UnusableError(
            f"too small: {width}×{height} pixels; the least is {record.MIN_SIDE} a side"
        )
    if width * height > max_pixels:
        raise UnusableError(
            f"too large: {width}×{height} is {width * height:,} pixels; the most is {max_pixels:,} "
            "(--max-pixels)"
        )


def _doubt(data: bytes) -> str:
    """What libjpeg warns of while it decodes a JPEG file, where that may be harmless.

    Raises:
        UnusableError: It warns of data that are missing or damaged.
    """
    warning = warning_of(data)
    if warning and not is_harmless(warning):
        raise UnusableError(f"damaged: {warning}")
    return warning


def _plain(image: Image.Image) -> Image.Image:
    """The first frame in RGB or in grey; alpha is dropped, as TensorFlow's decoders drop it."""
    if image.mode.startswith("I;16"):  # Pillow's own conversion would cut all above 255
        return image.convert("I").point(lambda grey: grey * (255 / MAX_GREY16) + 0.5).convert("L")
    if image.mode in ("I", "F"):
        raise UnusableError("32 bits a channel: which value is white is not known")
    return image.convert("L" if image.mode in GREY_MODES else "RGB")


def _as_jpeg(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=QUALITY, subsampling=NO_SUBSAMPLING, exif=b"")
    return buffer.getvalue()
