"""Image files: which of them are worth the model's time, and their answers."""

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from PIL import Image, UnidentifiedImageError

from serving.answer import Answer, Refusal

FORMATS = ("JPEG", "PNG")
SUFFIXES = (".jpg", ".jpeg", ".png")

MAX_BYTES = 16 * 2**20
MAX_PIXELS = 50_000_000  # decoded, a pixel takes up to 15 bytes of the server's memory


File = TypeVar("File")


class ImageError(ValueError):
    """A file that cannot be classified; the message says why."""


def read(path: Path) -> bytes:
    """The content of the image file `path`.

    Raises:
        ImageError: There is no such file, it is not readable, or `check` refuses it.
    """
    try:
        check_size(path.stat().st_size)
        content = path.read_bytes()
    except OSError as error:
        raise ImageError(f"cannot be read: {error.strerror}") from error
    check(content)
    return content


def check_size(size: int) -> None:
    """Raises ImageError for a file of more than MAX_BYTES bytes."""
    if size > MAX_BYTES:
        raise ImageError(
            f"has {size / 2**20:.1f} MiB; the limit is {MAX_BYTES // 2**20}. Scale it down"
        )


def check(content: bytes) -> None:
    """Looks at an image's header, which costs microseconds; what follows it the model will see.

    Raises:
        ImageError: It is neither a JPEG nor a PNG file, or has more than MAX_PIXELS pixels.
    """
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            width, height = image.size
    except UnidentifiedImageError as error:
        raise ImageError("is not a JPEG or PNG file") from error
    except (OSError, ValueError, SyntaxError) as error:  # what Pillow says of a broken header
        raise ImageError(f"is a broken image: {error}") from error
    except Image.DecompressionBombError as error:
        raise ImageError(f"has too many pixels; the limit is {MAX_PIXELS:,}") from error
    if width * height > MAX_PIXELS:
        raise ImageError(f"has {width}×{height} pixels; the limit is {MAX_PIXELS:,}. Scale it down")


def answer_files(
    files: Sequence[File],
    read: Callable[[File], bytes],
    classify: Callable[[Sequence[bytes]], list[Answer]],
) -> list[Answer]:
    """As many answers as files, in their order.

    Args:
        files: Any description of them.
        read: File → its content; raises ImageError.
        classify: Contents → their answers; is given only what could be read.
    """
    contents = [_read_or_refuse(read, file) for file in files]
    answers = iter(classify([content for content in contents if isinstance(content, bytes)]))
    return [next(answers) if isinstance(content, bytes) else content for content in contents]


def _read_or_refuse(read: Callable[[File], bytes], file: File) -> bytes | Refusal:
    try:
        return read(file)
    except ImageError as error:
        return Refusal(str(error))
