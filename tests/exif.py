"""Image files with EXIF data for the tests, as cameras write them, or spoilt."""

import io
import struct

from PIL import Image

SHORT, LONG = 3, 4  # TIFF's types of numbers
ORIENTATION = 0x0112


def exif(orientation: int, order: str = "<", kind: int = SHORT, count: int = 1) -> bytes:
    """EXIF data whose second of three tags is the orientation; `order` as in `struct`."""
    value = struct.pack(
        f"{order}{'HH' if kind == SHORT else 'I'}", orientation, *[0] * (kind == SHORT)
    )
    entries = (
        struct.pack(f"{order}HHI4s", 0x010F, 2, 4, b"abc\0"),  # the camera's maker
        struct.pack(f"{order}HHI4s", ORIENTATION, kind, count, value),
        struct.pack(f"{order}HHIHH", 0x0213, SHORT, 1, 1, 0),
    )
    header = struct.pack(f"{order}2sHI", {"<": b"II", ">": b"MM"}[order], 42, 8)
    return header + struct.pack(f"{order}H", len(entries)) + b"".join(entries) + bytes(4)


def segment(data: bytes) -> bytes:
    """JPEG's segment of EXIF data."""
    return b"\xff\xe1" + struct.pack(">H", len(data) + 8) + b"Exif\0\0" + data


def jpeg(image: Image.Image, *segments: bytes, jfif: bool = True) -> bytes:
    """A JPEG file with `segments` after JFIF's own one, or in its place."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=90)
    file = buffer.getvalue()
    return file[:2] + file[2:20] * jfif + b"".join(segments) + file[20:]


def png(image: Image.Image, data: bytes) -> bytes:
    """A PNG file with EXIF data."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG", exif=data)
    return buffer.getvalue()
