import io
import struct
import warnings
import zlib

import pytest
from PIL import Image

from serving import images
from serving.images import MAX_BYTES, ImageError, check, read


def png_header(width, height):
    """The beginning of a PNG file of that many pixels."""
    chunk = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    ends = struct.pack(">I", zlib.crc32(chunk))
    data = struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", len(chunk) - 4) + chunk + ends + data


def encoded(kind):
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, kind)
    return buffer.getvalue()


def test_images_pass(photos):
    for photo in photos:
        check(photo)
    check(png_header(7_000, 7_000))


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "is not a JPEG or PNG file"),
        (b"hello", "is not a JPEG or PNG file"),
        (encoded("GIF"), "is not a JPEG or PNG file"),
        (encoded("BMP"), "is not a JPEG or PNG file"),
        (encoded("PNG")[:20], "is a broken image"),
        (encoded("JPEG")[:10], "is a broken image"),
        (png_header(8_000, 8_000), "has 8000×8000 pixels; the limit is 50,000,000. Scale it down"),
        (png_header(60_000, 60_000), "has too many pixels; the limit is 50,000,000"),
    ],
    ids=["empty", "text", "GIF", "BMP", "half PNG", "half JPEG", "many pixels", "bomb"],
)
def test_what_is_refused(content, told):
    with pytest.raises(ImageError, match=told), warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        check(content)


def test_large_file_is_not_even_read(tmp_path, monkeypatch):
    large = tmp_path / "large.png"
    with large.open("wb") as file:
        file.truncate(MAX_BYTES + 2**20)  # takes no space
    monkeypatch.setattr(type(large), "read_bytes", lambda _: pytest.fail("was read"))
    with pytest.raises(ImageError, match=r"has 17\.0 MiB; the limit is 16"):
        read(large)


def test_content_is_that_of_the_file(photos, photo_files):
    assert [images.read(file) for file in photo_files] == photos
