"""A record's image: formats, damage, sizes."""

import io
import struct
import zlib

import numpy as np
import pytest
from checking import RULES, problem_of
from PIL import Image

from components.transform.image import decodes
from dataset.record_check import Rules, check_records


@pytest.fixture(scope="module")
def reason(example):
    """Function: image → why it is refused; None if it is not."""

    def reason(image: bytes, rules: Rules = RULES) -> str | None:
        [found] = check_records([example(image, 1)], rules, decodes)
        return found.problem and found.problem.reason

    return reason


def png_of_zeros(width: int, height: int) -> bytes:
    """Black and white, one bit a pixel: a small file whatever its size once decoded."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    stream = zlib.compressobj(9)
    row = bytes(1 + (width + 7) // 8)
    pixels = b"".join([stream.compress(row) for _ in range(height)] + [stream.flush()])
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        (chunk(b"IHDR", header), chunk(b"IDAT", pixels), chunk(b"IEND", b""))
    )


@pytest.mark.parametrize(
    ("file_format", "mode"),
    [
        ("JPEG", "RGB"),
        ("JPEG", "L"),
        ("JPEG", "CMYK"),
        ("PNG", "RGB"),
        ("PNG", "RGBA"),
        ("PNG", "LA"),
        ("PNG", "P"),
        ("PNG", "1"),
        ("GIF", "RGB"),
        ("BMP", "RGB"),
    ],
)
def test_image_that_tensorflow_decodes(reason, encode, array, file_format, mode):
    assert reason(encode(array, file_format, mode)) is None


def test_png_of_16_bits(reason, encode):
    deep = np.arange(400, dtype=np.uint16).reshape(20, 20) * 100
    image = encode(deep)
    assert Image.open(io.BytesIO(image)).mode == "I;16"
    assert reason(image) is None


@pytest.mark.parametrize(
    ("file_format", "name", "conversion"),
    [
        ("WEBP", "WebP", ""),
        ("TIFF", "TIFF", ""),
        ("JPEG2000", "JPEG2000", None),
        ("ICO", "ICO", None),
    ],
)
def test_format_that_tensorflow_does_not_decode(
    example, encode, array, file_format, name, conversion
):
    """By the file's own kind, so that a TensorFlow which does decode it gives the same verdict."""
    serialized = example(encode(array, file_format), 1)
    [found] = check_records([serialized], RULES, lambda images: True)
    assert (found.problem.reason, found.problem.detail) == (
        "image format",
        f"it is {name}, which TensorFlow does not decode; JPEG, PNG, GIF, BMP are decoded",
    )
    assert found.problem.conversion == conversion
    assert found.label == 1


@pytest.mark.parametrize("content", [b"GIF, honestly", b"hello", b"\x89PNG\r\n\x1a\n", bytes(99)])
def test_text_for_an_image(reason, content):
    assert reason(content) == "image does not decode"


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "GIF"])
@pytest.mark.parametrize("share", [0.05, 0.5, 0.9])
def test_truncated_image(reason, encode, file_format, share):
    array = np.random.default_rng(1).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    image = encode(array, file_format)
    assert reason(image) is None
    assert reason(image[: int(len(image) * share)]) == "image does not decode"


def test_jpeg_that_lacks_its_end_marker(reason, jpeg):
    assert reason(jpeg[:-2]) == "image does not decode"


def test_altered_png(reason, image):
    altered = bytearray(image)
    altered[len(image) // 2] ^= 4
    assert reason(bytes(altered)) == "image does not decode"


def test_whatever_bytes_an_image_is_there_is_a_verdict(example, encode, array):
    """Files with some bytes altered at random, mostly in their headers."""
    random = np.random.default_rng(5)
    files = [
        encode(array, file_format)
        for file_format in ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "ICO", "JPEG2000")
    ]
    batch = []
    for number in range(400):
        altered = bytearray(files[number % len(files)])
        for _ in range(random.integers(1, 5)):
            altered[random.integers(0, 150)] = random.integers(0, 256)
        batch.append(example(bytes(altered), 1))
    found = [check_records(batch[i : i + 8], RULES, decodes) for i in range(0, len(batch), 8)]
    bad = sum(one.problem is not None for some in found for one in some)
    assert 150 < bad <= 400


@pytest.mark.parametrize(
    ("height", "width", "expected"),
    [
        (1, 1, "image too small"),
        (7, 8, "image too small"),
        (8, 7, "image too small"),
        (8, 8, None),
    ],
)
def test_least_side(reason, encode, height, width, expected):
    assert reason(encode(np.zeros((height, width, 3), np.uint8))) == expected


def test_sizes_are_told(example, encode):
    assert problem_of(example(encode(np.zeros((7, 9, 3), np.uint8)), 1)) == (
        "image too small",
        "9×7; each side needs 8 pixels",
    )
    wide = example(encode(np.zeros((10, 101, 3), np.uint8)), 1)
    assert problem_of(wide, Rules(max_pixels=1000)) == (
        "image too large",
        "101×10 is more than 1,000 pixels",
    )


def test_greatest_size(reason, encode):
    image = encode(np.zeros((10, 100), np.uint8))
    assert reason(image, Rules(max_pixels=1000)) is None
    assert reason(image, Rules(max_pixels=999)) == "image too large"


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("side", [5_793, 10_000, 30_000])
def test_decompression_bomb_is_refused_by_its_header(example, side):
    bomb = example(png_of_zeros(side, side), 1)
    assert len(bomb) < 200_000
    decoded = []
    [found] = check_records([bomb], RULES, lambda images: decoded.extend(images) or True)
    assert found.problem.reason == "image too large"
    assert found.label == 1
    assert decoded == []


def test_largest_image_decodes(reason):
    assert reason(png_of_zeros(8192, 4096)) is None  # record.MAX_PIXELS


def test_animated_gif_is_refused_undecoded(example, array):
    """TensorFlow's decoder takes memory for all of its frames, of which there may be thousands."""
    buffer = io.BytesIO()
    frames = [Image.fromarray(np.roll(array, n, 0)) for n in range(3)]
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:])

    def reason(image: bytes) -> str:
        [found] = check_records([example(image, 1)], RULES, lambda images: not images)
        return found.problem.reason

    assert reason(buffer.getvalue()) == "image is animated"
    # Cut inside the second frame's header.
    second = buffer.getvalue().index(b"\x2c", buffer.getvalue().index(b"\x2c") + 10)
    assert reason(buffer.getvalue()[: second + 4]) in (
        "image is animated",
        "image does not decode",
    )
