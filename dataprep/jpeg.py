"""What becomes of a picture's file on its way into a record.

JPEG files that are RGB or grey stay as they are, byte for byte; every other picture becomes an RGB
JPEG, as the ImageNet conversion tool does it.
"""

import io
import warnings
from typing import NamedTuple

from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from components import record

FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF")  # not EPS, which runs a program
JPEG_SIGNATURE = b"\xff\xd8\xff"
KEPT_MODES = ("L", "RGB")  # Pillow's, of JPEG files that stay as they are
MAX_BYTES = 2**28  # of a file
MAX_GREY16 = 65535

# Pillow: "Values above 95 should be avoided; … hardly any gain in image quality."
QUALITY = 95
NO_SUBSAMPLING = 0  # colours of a drawing keep their edges


class UnusableError(ValueError):
    """The picture cannot be used; the message is the reason: a rule, then a colon and details."""


class JpegImage(NamedTuple):
    """A picture as its record holds it."""

    encoded: bytes  # a JPEG file
    height: int  # pixels
    width: int  # pixels


def read_image(data: bytes) -> JpegImage:
    """Checks a picture's file by decoding it, and converts it where it is no RGB or grey JPEG.

    Args:
        data: A file in one of `FORMATS`, whatever its name says.

    Raises:
        UnusableError: It is empty, no such file, damaged, too small or too large.
    """
    if not data:
        raise UnusableError("empty file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's, of large pictures and of odd metadata
            return _read(data)
    except UnusableError:
        raise
    except Image.UnidentifiedImageError as error:
        raise UnusableError(f"not a picture: none of {', '.join(FORMATS)}") from error
    except Image.DecompressionBombError as error:  # Pillow's bound, found before ours is
        raise UnusableError(f"too large: the most is {record.MAX_PIXELS:,} pixels") from error
    except Exception as error:  # Pillow's decoders raise errors of a dozen kinds
        raise UnusableError(f"does not decode: {error or type(error).__name__}") from error


def _read(data: bytes) -> JpegImage:
    file = io.BytesIO(data)
    if data.startswith(JPEG_SIGNATURE):
        image: Image.Image = JpegImageFile(file)  # a tenth quicker than by way of open()
    else:
        image = Image.open(file, formats=FORMATS)
    width, height = image.size  # as the header says; draft() changes it
    _check_size(width, height)
    if isinstance(image, JpegImageFile) and image.mode in KEPT_MODES:
        image.draft(image.mode, (1, 1))  # decode all of it, at an eighth of the size
        image.load()
    else:
        data = _as_rgb_jpeg(image)
    return JpegImage(data, height, width)


def _check_size(width: int, height: int) -> None:
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
