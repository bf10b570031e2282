"""Image files: which of them are worth the model's time, and their answers."""

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile

from dataset import record
from serving.answer import Answer, Refusal

# How a file begins → its reader. Unlike `Image.open` they have no limit of their own on the size.
FORMATS: dict[bytes, type[ImageFile]] = {
    b"\xff\xd8\xff": JpegImageFile,
    b"\x89PNG\r\n\x1a\n": PngImageFile,
}

MAX_BYTES = 16 * 2**20
MAX_PIXELS = record.MAX_PIXELS  # as in training; decoded, a pixel takes up to 15 bytes of memory


File = TypeVar("File")


class ImageError(ValueError):
    """A file that cannot be classified; the message says why."""


def read(path: Path, max_pixels: int = MAX_PIXELS) -> bytes:
    """The content of the image file `path`.

    Args:
        path: The file.
        max_pixels: Greatest width × height.

    Raises:
        ImageError: There is no such file, it is not readable, or `check` refuses it.
    """
    try:
        check_size(path.stat().st_size)
        content = path.read_bytes()
    except OSError as error:
        raise ImageError(f"cannot be read: {error.strerror}") from error
    check(content, max_pixels)
    return content


def check_size(size: int) -> None:
    """Raises ImageError for a file of more than MAX_BYTES bytes."""
    if size > MAX_BYTES:
        raise ImageError(
            f"has {size / 2**20:.1f} MiB; the limit is {MAX_BYTES // 2**20}. Scale it down"
        )


def check(content: bytes, max_pixels: int = MAX_PIXELS) -> None:
    """Looks at an image's header, which costs microseconds; what follows it the model will see.

    Args:
        content: The file.
        max_pixels: Greatest width × height.

    Raises:
        ImageError: It is neither a JPEG nor a PNG file, or has more than `max_pixels` pixels.
    """
    opener = next((FORMATS[start] for start in FORMATS if content.startswith(start)), None)
    if opener is None:
        raise ImageError("is not a JPEG or PNG file")
    try:
        with opener(io.BytesIO(content)) as image:
            width, height = image.size
    except (OSError, ValueError, SyntaxError) as error:  # what Pillow says of a broken header
        raise ImageError(f"is a broken image: {error}") from error
    if width * height > max_pixels:
        raise ImageError(
            f"has {width}×{height} pixels; the limit is {max_pixels:,}. "
            "Scale it down, or allow more by --max-pixels, in Python max_pixels"
        )


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
