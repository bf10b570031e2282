"""EXIF's orientations in the image graph; right is what Pillow's `exif_transpose` shows."""

import io
import struct

import numpy as np
import pytest
import tensorflow as tf
from exif import LONG, exif, jpeg, png, segment
from PIL import Image, ImageOps

from components.transform.image import crop_to_aspect_ratio, decode_and_resize
from components.transform.orientation import MAX_SEGMENTS, has_no_metadata, orientations

ORIENTATIONS = range(1, 9)
HEIGHT, WIDTH = 16, 24
COMMENT = b"\xff\xfe\x00\x07hello"
XMP = b"\xff\xe1\x00\x1fhttp://ns.adobe.com/xap/1.0/\x00"

graph = tf.function(
    lambda encoded: decode_and_resize(encoded, HEIGHT, WIDTH),
    input_signature=[tf.TensorSpec([None], tf.string)],
)
tags = tf.function(orientations, input_signature=[tf.TensorSpec([None], tf.string)])


@pytest.fixture(scope="module")
def photo() -> Image.Image:
    """An image of 80×60 pixels that looks different in each orientation."""
    pixels = np.random.default_rng(0).integers(0, 256, (3, 4, 3), np.uint8)
    return Image.fromarray(pixels).resize((80, 60), Image.Resampling.BICUBIC)


def shown(file: bytes) -> np.ndarray:
    """What Pillow shows, cropped and resized."""
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(file))).convert("RGB")
    cropped = crop_to_aspect_ratio(tf.constant(np.asarray(upright)), HEIGHT, WIDTH)
    return tf.image.resize(cropped, [HEIGHT, WIDTH], antialias=True).numpy()


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    "write",
    [
        lambda photo, data: jpeg(photo, segment(data)),
        lambda photo, data: jpeg(photo, segment(data), jfif=False),
        lambda photo, data: jpeg(photo, XMP, COMMENT, segment(data), COMMENT),
        png,
    ],
    ids=["JFIF before", "EXIF first", "other segments before", "PNG"],
)
def test_images_are_shown_upright(photo, write, order):
    files = [write(photo, exif(number, order)) for number in ORIENTATIONS]
    assert tags(files).numpy().tolist() == [*ORIENTATIONS]
    images = graph(files).numpy()
    for image, file in zip(images, files, strict=True):
        assert np.abs(image - shown(file)).mean() < 1
    different = [np.abs(a - b).mean() for i, a in enumerate(images) for b in images[:i]]
    assert min(different) > 10  # were they alike, nothing would be shown


def test_tag_of_another_type_of_number(photo):
    data = [exif(number, order, LONG) for order in "<>" for number in ORIENTATIONS]
    files = [jpeg(photo, segment(each)) for each in data]
    assert tags(files).numpy().tolist() == [*ORIENTATIONS, *ORIENTATIONS]


def test_images_without_a_tag_are_the_same_beside_turned_ones(photo):
    plain = [jpeg(photo), jpeg(photo, COMMENT), png(photo, b"")]
    turned = jpeg(photo, segment(exif(6)))
    np.testing.assert_array_equal(graph([*plain, turned])[:3], graph(plain))


def test_grey_image_is_turned(photo):
    file = jpeg(photo.convert("L"), segment(exif(6)))
    assert np.abs(graph([file])[0] - shown(file)).mean() < 1


DATA = exif(6)
DAMAGED = {
    "no data": b"",
    "half a header": DATA[:6],
    "header alone": DATA[:8],
    "cut in the directory": DATA[:30],
    "cut in the tag": DATA[: 8 + 2 + 12 + 10],
    "directory beyond the end": DATA[:4] + struct.pack("<I", len(DATA)) + DATA[8:],
    "directory far beyond the end": DATA[:4] + b"\xff\xff\xff\xff" + DATA[8:],
    "directory at the last byte": DATA[:4] + struct.pack("<I", len(DATA) - 1) + DATA[8:],
    "directory in the header": DATA[:4] + bytes(4) + DATA[8:],
    "no entries": DATA[:8] + bytes(2) + DATA[10:],
    "no TIFF": b"II\x2b\x00" + DATA[4:],
    "the other byte order": b"MM\x00\x2a" + DATA[4:],
    "orientation 0": exif(0),
    "orientation 9": exif(9),
    "orientation 262": exif(0x106),
    "bytes": exif(6, kind=1),
    "text": exif(6, kind=2),
    "two values": exif(6, count=2),
    "no value": exif(6, count=0),
}


@pytest.mark.parametrize("data", DAMAGED.values(), ids=DAMAGED)
def test_damaged_tag_counts_as_none(photo, data):
    files = [jpeg(photo, segment(data)), png(photo, data)]
    assert tags(files).numpy().tolist() == [1, 1]
    plain = [jpeg(photo), png(photo, b"")]
    np.testing.assert_array_equal(graph(files), graph(plain))


def test_tag_elsewhere_counts_as_none(photo):
    thumbnail = jpeg(photo.resize((8, 8)), segment(exif(6)))
    whole = segment(exif(6))
    inside_another = b"\xff\xe2" + struct.pack(">H", len(thumbnail) + 2) + thumbnail
    files = [
        jpeg(photo, inside_another),
        jpeg(photo) + thumbnail,
        jpeg(photo, b"\xff\xe2" + whole[2:]),
        jpeg(photo, b"\xff\xe1" + whole[2:4] + b"exif" + whole[8:]),
    ]
    assert tags(files).numpy().tolist() == [1] * len(files)


def test_what_is_no_image_has_no_tag(photo):
    whole = jpeg(photo, segment(exif(6)))
    files = [b"", b"\xff", b"\xff\xd8", b"\xff\xd8\xff", b"GIF89a", b"BM", b"\x89PNG\r\n\x1a\n"]
    assert tags(files).numpy().tolist() == [1] * len(files)
    assert tags([]).shape == [0]
    beginnings = [whole[:size] for size in range(100)]
    assert set(tags(beginnings).numpy()) == {1, 6}


def test_segments_without_end_are_not_all_looked_at(photo):
    """A file could have millions, each of which takes a step."""
    some, many = COMMENT * (MAX_SEGMENTS - 2), COMMENT * (MAX_SEGMENTS + 1)
    files = [jpeg(photo, comments, segment(exif(6))) for comments in (some, many)]
    assert tags(files).numpy().tolist() == [6, 1]
    backwards = b"\xff\xd8" + b"\xff\xe0\x00\x00" * 9
    assert tags([backwards]).numpy().tolist() == [1]


def test_most_files_without_a_tag_are_told_at_a_glance(photo):
    assert has_no_metadata([jpeg(photo), png(photo, b"")]).numpy().all()
    data = exif(6)
    files = [
        jpeg(photo, segment(data)),
        jpeg(photo, segment(data), jfif=False),
        jpeg(photo, COMMENT, segment(data)),
        png(photo, data),
    ]
    assert not has_no_metadata(files).numpy().any()


def decodes(file: bytes) -> bool:
    """Whether Pillow decodes it."""
    try:
        Image.open(io.BytesIO(file)).load()
    except (OSError, SyntaxError):
        return False
    return True


@pytest.mark.parametrize("seed", range(3))
def test_no_damage_to_exif_is_an_error(photo, seed):
    """Wherever Pillow decodes a file whose EXIF data are spoilt at random, the graph does."""
    random = np.random.default_rng(seed)

    def spoil(data: bytes) -> bytes:
        spoilt = np.frombuffer(data, np.uint8).copy()
        places = random.integers(0, len(data), random.integers(1, 12))
        spoilt[places] = random.integers(0, 256, len(places))
        return spoilt.tobytes()

    files = []
    for number in random.integers(1, 9, 100):
        data = exif(int(number), random.choice(["<", ">"]))
        files += [jpeg(photo, spoil(segment(data))), jpeg(photo, segment(spoil(data)))]
        files.append(png(photo, spoil(data)))
    files = [file for file in files if decodes(file)]
    assert len(files) > 200
    assert graph(files).shape == (len(files), HEIGHT, WIDTH, 3)
    assert set(tags(files).numpy()) <= {*ORIENTATIONS}
