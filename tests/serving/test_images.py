import io
import struct
import zlib

import pytest
from PIL import Image

from dataset import record
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
    check(png_header(8_192, 4_096))


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "is not a JPEG or PNG file"),
        (b"hello", "is not a JPEG or PNG file"),
        (encoded("GIF"), "is not a JPEG or PNG file"),
        (encoded("BMP"), "is not a JPEG or PNG file"),
        (encoded("PNG")[:20], "is a broken image"),
        (encoded("JPEG")[:10], "is a broken image"),
        (
            png_header(8_192, 4_097),
            "has 8192×4097 pixels; the limit is 33,554,432. "
            "Scale it down, or allow more by --max-pixels",
        ),
        (png_header(60_000, 60_000), "has 60000×60000 pixels; the limit is 33,554,432"),
    ],
    ids=["empty", "text", "GIF", "BMP", "half PNG", "half JPEG", "many pixels", "bomb"],
)
def test_what_is_refused(content, told):
    with pytest.raises(ImageError, match=told):
        check(content)


def test_limit_is_that_of_training_and_may_be_another(tmp_path):
    assert images.MAX_PIXELS == record.MAX_PIXELS
    header = png_header(60_000, 60_000)
    check(header, max_pixels=60_000**2)
    large = tmp_path / "large.png"
    large.write_bytes(header)
    assert images.read(large, 60_000**2) == header
    with pytest.raises(ImageError, match=r"has 60000×60000 pixels; the limit is 99\."):
        images.read(large, 99)


def test_large_file_is_not_even_read(tmp_path, monkeypatch):
    large = tmp_path / "large.png"
    with large.open("wb") as file:
        file.truncate(MAX_BYTES + 2**20)  # takes no space
    monkeypatch.setattr(type(large), "read_bytes", lambda _: pytest.fail("was read"))
    with pytest.raises(ImageError, match=r"has 17\.0 MiB; the limit is 16"):
        read(large)


def test_content_is_that_of_the_file(photos, photo_files):
    assert [images.read(file) for file in photo_files] == photos
