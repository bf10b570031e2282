import io
import random

import numpy as np
import pytest
from images import huge_png, image_file
from PIL import Image, ImageOps

from dataprep.jpeg import UnusableError, read_image


def decoded(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


def saved(image: Image.Image, file_format: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_rgb_and_grey_jpegs_stay_as_they_are(mode):
    data = saved(Image.new(mode, (20, 10), 128), "JPEG", progressive=True)
    image = read_image(data)
    assert image == (data, 10, 20, len(mode), "")


@pytest.mark.parametrize("progressive", [True, False])
def test_whole_jpegs_are_not_decoded(monkeypatch, progressive):
    """They are nearly all there are, and decoding would take twice as long as all else."""
    data = saved(Image.new("RGB", (20, 10)), "JPEG", progressive=progressive, comment=b"\xff\xda")
    monkeypatch.setattr(Image, "open", None)
    assert read_image(data) == (data, 10, 20, 3, "")


@pytest.mark.parametrize("tail", [b"\0\0", b"\n", b"\xff\xd9 and more"])
def test_bytes_after_the_end_of_a_jpeg(tail):
    data = image_file(side=20) + tail
    assert read_image(data) == (data, 20, 20, 3, "")


@pytest.mark.parametrize("kept", [2, 3, 20, 160, 500])
def test_jpeg_cut_short_with_an_end_put_on(kept):
    whole = image_file(side=64)
    scan = whole.index(b"\xff\xda")
    with pytest.raises(UnusableError):
        read_image(whole[: min(kept, scan)] + b"\xff\xd9")


@pytest.mark.parametrize(
    ("mode", "file_format"),
    [
        ("CMYK", "JPEG"),
        ("RGB", "PNG"),
        ("RGBA", "PNG"),
        ("P", "PNG"),
        ("P", "GIF"),
        ("RGB", "BMP"),
        ("RGB", "WEBP"),
        ("RGB", "TIFF"),
    ],
)
def test_other_colour_images_become_rgb_jpegs(mode, file_format):
    data = saved(Image.new("RGB", (20, 10), (200, 100, 50)).convert(mode), file_format)
    image = read_image(data)
    again = decoded(image.encoded)
    assert (again.format, again.mode, again.size) == ("JPEG", "RGB", (20, 10))
    assert (image.height, image.width) == (10, 20)
    np.testing.assert_allclose(np.asarray(again)[5, 5], (200, 100, 50), atol=4)


@pytest.mark.parametrize(("mode", "file_format"), [("L", "PNG"), ("LA", "PNG"), ("1", "PNG")])
def test_other_grey_images_become_grey_jpegs(mode, file_format):
    image = read_image(saved(Image.new("L", (20, 10), 255).convert(mode), file_format))
    again = decoded(image.encoded)
    assert (again.mode, image.channels) == ("L", 1)
    np.testing.assert_allclose(np.asarray(again)[5, 5], 255, atol=2)


@pytest.mark.parametrize(("order", "file_format"), [("<u2", "PNG"), (">u2", "TIFF")])
@pytest.mark.parametrize("grey", [0, 300, 0x4040, 65535])
def test_sixteen_bits_are_scaled_to_eight(grey, order, file_format):
    data = saved(Image.fromarray(np.full((16, 16), grey, order)), file_format)
    pixels = np.asarray(decoded(read_image(data).encoded))
    np.testing.assert_allclose(pixels, round(grey / 257), atol=1)


def test_first_frame_of_a_gif():
    frames = [Image.new("RGB", (10, 10), colour) for colour in ("red", "blue")]
    data = saved(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert decoded(data).n_frames == 2
    red, _, blue = np.asarray(decoded(read_image(data).encoded))[5, 5]
    assert (red > 200, blue > 200) == (True, False)


def test_fine_detail_survives_the_conversion():
    pixels = np.random.RandomState(0).randint(256, size=(8, 8, 3), dtype=np.uint8)
    image = Image.fromarray(pixels).resize((64, 64), Image.Resampling.NEAREST)
    again = np.asarray(decoded(read_image(saved(image, "PNG")).encoded), int)
    assert np.abs(again - np.asarray(image)).mean() < 3


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty file"),
        (b"no image at all", "not an image: none of JPEG, "),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not an image: none of JPEG, "),
        (image_file(side=1), "too small: 1×1 pixels; the least is 8 a side"),
        (image_file(side=7, file_format="PNG"), "too small: 7×7"),
        (huge_png(30_000), "too large: "),
        (
            huge_png(8_000),
            "too large: 8000×8000 is 64,000,000 pixels; the most is 33,554,432 (--max-pixels)",
        ),
        (image_file(side=64)[:-100], "does not decode: image file is truncated"),
        (image_file(side=64, file_format="PNG")[:-100], "does not decode: "),
        (image_file(side=64, file_format="GIF")[:10], "damaged: it begins as GIF, and its header "),
    ],
)
def test_images_that_cannot_be_used(data, reason):
    with pytest.raises(UnusableError) as caught:
        read_image(data)
    assert str(caught.value).startswith(reason)


def test_smallest_image():
    assert read_image(image_file(side=8)).height == 8


def test_grey_levels_of_32_bits_have_no_white():
    with pytest.raises(UnusableError, match="32 bits a channel"):
        read_image(saved(Image.new("F", (10, 10)), "TIFF"))


def test_larger_images_where_they_are_allowed():
    data = saved(Image.new("L", (300, 200)), "PNG")
    with pytest.raises(UnusableError, match="300×200 is 60,000 pixels; the most is 59,999 "):
        read_image(data, max_pixels=59_999)
    assert read_image(data, max_pixels=60_000).width == 300


def noise(mode: str = "RGB") -> Image.Image:
    levels = np.random.RandomState(0).randint(256, size=(150, 200), dtype=np.uint8)
    return Image.fromarray(levels).convert(mode)


def half(data: bytes) -> bytes:
    """The first half of a JPEG file, with an end marker."""
    return data[: len(data) // 2] + b"\xff\xd9"


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("progressive", [True, False])
@pytest.mark.parametrize("tail", [b"", b"more"])
def test_half_a_jpeg_with_an_end_marker(mode, progressive, tail):
    data = half(saved(noise(mode), "JPEG", progressive=progressive)) + tail
    with pytest.raises(UnusableError, match="damaged: Corrupt JPEG data: premature end of data"):
        read_image(data)


def test_jpeg_that_libjpeg_warns_of_and_shows():
    data = saved(noise(), "JPEG")
    data = data[:-2] + bytes(30) + data[-2:]
    image = read_image(data)
    assert image.encoded == data
    assert "extraneous bytes before marker" in image.doubt


ORIENTATIONS = range(1, 9)


def oriented(orientation: object, mode: str = "RGB", file_format: str = "JPEG") -> bytes:
    """An image of six fields of different colours, with an EXIF orientation."""
    fields = np.random.RandomState(5).randint(256, size=(2, 3, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    upright = Image.fromarray(fields).resize((48, 32), Image.Resampling.NEAREST)
    options = {"lossless": True} if file_format == "WEBP" else {}
    return saved(upright.convert(mode), file_format, exif=exif, **options)


def grey_levels_apart(one: Image.Image, other: Image.Image) -> float:
    pixels = [np.asarray(image.convert("RGB"), float) for image in (one, other)]
    return np.abs(pixels[0] - pixels[1]).mean()


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize(
    ("mode", "file_format"),
    [("CMYK", "JPEG"), ("RGB", "PNG"), ("L", "PNG"), ("RGB", "WEBP"), ("RGB", "TIFF")],
)
def test_converted_images_are_upright_and_have_no_tag(orientation, mode, file_format):
    data = oriented(orientation, mode, file_format)
    image = read_image(data)
    shown = ImageOps.exif_transpose(decoded(data))
    again = decoded(image.encoded)
    assert again.size == (image.width, image.height) == shown.size
    assert grey_levels_apart(again, shown) < 1
    assert not again.getexif()


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("tail", [b"", b"more"], ids=["", "decoded"])
def test_kept_jpegs_have_the_size_that_is_shown(orientation, mode, tail):
    data = oriented(orientation, mode) + tail
    image = read_image(data)
    assert image.encoded == data
    assert (image.width, image.height) == ImageOps.exif_transpose(decoded(data)).size


@pytest.mark.parametrize("orientation", [0, 9, 65535])
@pytest.mark.parametrize(("mode", "file_format"), [("RGB", "JPEG"), ("RGB", "PNG")])
def test_odd_orientations_are_ignored(orientation, mode, file_format):
    image = read_image(oriented(orientation, mode, file_format))
    assert (image.width, image.height) == (48, 32)


def test_damaged_exif_data_never_make_an_image_unusable():
    data = oriented(6)
    first, last = data.index(b"Exif") + 6, data.index(b"\xff\xdb")
    chance = random.Random(0)
    for _ in range(500):
        damaged = bytearray(data)
        for _ in range(chance.randint(1, 6)):
            damaged[chance.randrange(first, last)] = chance.randrange(256)
        image = read_image(bytes(damaged))
        assert {image.width, image.height} == {48, 32}
