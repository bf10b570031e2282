import io
import struct
import zlib

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from components.transform.image import decodes
from dataset import record, record_check
from dataset.record_check import BATCH, LABEL_0, Rules, check_all, check_records

RULES = Rules(num_classes=3, synsets=("n01", "n02", "n03"))


@pytest.fixture(scope="module")
def array():
    return np.random.default_rng(0).integers(0, 256, (20, 24, 3)).astype(np.uint8)


@pytest.fixture(scope="module")
def image(encode, array):
    return encode(array)


@pytest.fixture(scope="module")
def jpeg(encode, array):
    return encode(array, "JPEG")


@pytest.fixture(scope="module")
def reason(example):
    """Function: image → why it is refused; None if it is not."""

    def reason(image: bytes, rules: Rules = RULES) -> str | None:
        [found] = check_records([example(image, 1)], rules, decodes)
        return found.problem and found.problem.reason

    return reason


def problem_of(serialized: bytes, rules: Rules = RULES) -> tuple[str, str]:
    [found] = check_records([serialized], rules, decodes)
    assert found.problem is not None
    return found.problem.reason, found.problem.detail


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


# ---- records


def test_good_record(example, image):
    serialized = example(image, 2, filename='Kätzchen "7".png'.encode(), **{"class/synset": b"n02"})
    [found] = check_records([serialized], RULES, decodes)
    assert found.problem is None
    assert (found.name, found.label, found.synset) == ('Kätzchen "7".png', 2, "n02")
    assert found.image == image


def test_no_records():
    assert check_records([], RULES, decodes) == []


@pytest.mark.parametrize("label", [1, 3])
def test_first_and_last_label_are_in_range(example, image, label):
    [found] = check_records([example(image, label)], RULES, decodes)
    assert found.problem is None
    assert found.label == label


@pytest.mark.parametrize("label", [-1, 4, 2**62])
@pytest.mark.parametrize(
    "rules",
    [RULES, Rules(num_classes=3), Rules(synsets=RULES.synsets)],
    ids=["both known", "number known", "synsets known"],
)
def test_label_out_of_range(example, image, label, rules):
    serialized = example(image, label, **{"class/synset": b"n01"})
    assert problem_of(serialized, rules) == (
        "label out of range",
        f"label {label} is not in 1..3",
    )


def test_label_out_of_range_is_no_class_of_which_it_could_be_counted(example, image):
    [found] = check_records([example(image, 4)], RULES, decodes)
    assert found.label == 0


def test_any_label_from_1_will_do_where_the_classes_are_unknown(example, image):
    [found] = check_records([example(image, 999)], Rules(), decodes)
    assert found.problem is None
    [found] = check_records([example(image, record.MAX_CLASSES)], Rules(), decodes)
    assert found.problem is None


def test_label_beyond_any_sane_number_of_classes(example, image):
    """A name for each label up to it would take gigabytes."""
    reason, detail = problem_of(example(image, 2 * 10**7), Rules())
    assert (reason, detail) == ("label out of range", "label 20000000 is not in 1..1000000")


@pytest.mark.parametrize("rules", [RULES, Rules()])
def test_label_0_has_a_reason_of_its_own(example, image, rules):
    """For which no budget of bad records counts, since a whole class may have it."""
    [found] = check_records([example(image, 0)], rules, decodes)
    assert found.problem.reason == LABEL_0
    assert found.problem.detail == "no class has it; labels count from 1"


@pytest.mark.parametrize(
    ("label", "described"),
    [
        ([1, 2], "2 values of int64"),
        ([0.0, 1.0], "2 values of float"),
        (b"cat", "bytes, 'cat'"),
        (1.0, "float, 1"),
    ],
    ids=str,
)
def test_label_of_another_type(example, image, label, described):
    """The type that is found, the type that is wanted, and that a command takes such records."""
    [found] = check_records([example(image, label)], RULES, decodes)
    assert (found.problem.reason, found.problem.detail) == (
        "label of another type",
        f"`image/class/label` is {described}; it must be one int64",
    )
    assert found.problem.conversion == ""


@pytest.mark.parametrize("label", [None, []])
def test_missing_label(example, image, label):
    reason, detail = problem_of(example(image, label))
    assert reason == "no label"
    assert detail.startswith("no `image/class/label`: it holds `image/")


def test_record_with_other_keys(image):
    """What it holds is said, and with which flags a command takes it."""
    features = tf.train.Example().features
    features.feature["photo"].bytes_list.value.append(image)
    features.feature["the class"].int64_list.value.append(0)
    serialized = tf.train.Example(features=features).SerializeToString()
    [found] = check_records([serialized], RULES, decodes)
    assert (found.problem.reason, found.problem.detail) == (
        "no image",
        "no `image/encoded` and no `image/class/label`: it holds `photo` (bytes, a PNG image), "
        "`the class` (int64, 0)",
    )
    assert found.problem.conversion == "--image-key photo --label-key 'the class'"


def test_synset_of_another_class(example, image):
    serialized = example(image, 3, **{"class/synset": b"n01"})
    assert problem_of(serialized) == (
        "wrong class",
        "label 3 is 'n03', but its `image/class/synset` is 'n01'",
    )
    [found] = check_records([serialized], RULES, decodes)
    assert found.label == 3  # it is counted against that class's budget


def test_synset_needs_quotes_and_letters_of_any_kind(example, image):
    name = 'Kätzchen, "Ŧom\'s" 猫'
    serialized = example(image, 1, **{"class/synset": name.encode()})
    [found] = check_records([serialized], Rules(synsets=(name, "other")), decodes)
    assert found.problem is None
    assert found.synset == name


@pytest.mark.parametrize("rules", [Rules(), Rules(num_classes=9, synsets=RULES.synsets)])
def test_synset_of_a_class_that_is_not_known_will_do(example, image, rules):
    serialized = example(image, 7, **{"class/synset": b"n77"})
    [found] = check_records([serialized], rules, decodes)
    assert found.problem is None
    assert found.synset == "n77"


def test_record_without_synset_is_good(example, image):
    [found] = check_records([example(image, 1)], RULES, decodes)
    assert found.problem is None
    assert found.synset == ""


@pytest.mark.parametrize(
    ("synset", "detail"),
    [
        (b"two\nlines", "has a line break: 'two\\nlines'"),
        ("two\u2028lines".encode(), "has a line break: 'two\\u2028lines'"),
        (b"ends\r", "has a line break: 'ends\\r'"),
        (b"caf\xe9", "is not UTF-8: b'caf\\xe9'"),
    ],
)
def test_synset_that_cannot_name_a_class(example, image, synset, detail):
    """Files of class names have one a line, and are UTF-8."""
    serialized = example(image, 1, **{"class/synset": synset})
    assert problem_of(serialized, Rules()) == ("class's key", f"`image/class/synset` {detail}")


@pytest.mark.parametrize(
    ("image", "detail"),
    [
        (None, "no `image/encoded`: it holds `image/class/label` (int64, 1)"),
        (
            [],
            "no `image/encoded`: it holds `image/class/label` (int64, 1), `image/encoded` (empty)",
        ),
        (b"", "`image/encoded` is empty"),
    ],
)
def test_missing_image(example, image, detail):
    assert problem_of(example(image, 1)) == ("no image", detail)


def test_record_that_is_no_tf_example():
    garbage = np.random.default_rng(3).bytes(200)
    [found] = check_records([garbage], RULES, decodes)
    assert found.problem.reason == "no tf.Example"
    assert found.name == ""
    # An empty record is a tf.Example without features.
    assert problem_of(b"") == (
        "no image",
        "no `image/encoded` and no `image/class/label`: it holds nothing",
    )


# StatisticsGen would end with Beam's stack trace.
@pytest.mark.parametrize(
    ("feature", "value", "detail"),
    [
        ("encoded", 7, "`image/encoded` is int64_list instead of bytes_list"),
        ("class/synset", 7, "`image/class/synset` is int64_list instead of bytes_list"),
        ("height", b"20", "`image/height` is bytes_list instead of int64_list"),
        ("width", 24.0, "`image/width` is float_list instead of int64_list"),
    ],
)
def test_feature_of_another_type(example, image, feature, value, detail):
    serialized = example(image, 1, **{feature: value})
    assert problem_of(serialized) == ("wrong type", detail)
    assert check_records([serialized], RULES, decodes)[0].label == 1


@pytest.mark.parametrize(
    ("feature", "values"),
    [("encoded", [b"a", b"b"]), ("class/synset", [b"n01", b"n01"]), ("height", [20, 20])],
)
def test_feature_with_several_values(example, image, feature, values):
    assert problem_of(example(image, 1, **{feature: values})) == (
        "several values",
        f"has 2 values of `image/{feature}` instead of one",
    )


def test_other_features_are_nobodys_business(example, image):
    [found] = check_records([example(image, 1, **{"object/bbox": [0.1, 0.9]})], RULES, decodes)
    assert found.problem is None


def test_file_name_that_is_no_utf8_is_told_as_well_as_can_be(example):
    [found] = check_records([example(b"", 1, filename=b"caf\xe9.png")], RULES, decodes)
    assert found.name == "caf\N{REPLACEMENT CHARACTER}.png"


def test_same_image_same_digest_whatever_else_the_records_say(example, image, jpeg):
    found = check_records(
        [example(image, 1, filename=b"a"), example(image, 2), example(jpeg, 1)], RULES, decodes
    )
    first, second, other = [one.image_digest for one in found]
    assert first == second != other
    assert len(first) == 16


# ---- images


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


# ---- batches


@pytest.mark.parametrize("place", [0, 3, 7])
def test_only_the_undecodable_image_of_a_batch_is_bad(example, image, jpeg, place):
    batch = [example(image, 1 + n % 3) for n in range(8)]
    batch[place] = example(jpeg[:-50], 2, filename=b"cut.jpg")
    found = check_records(batch, RULES, decodes)
    assert [n for n, one in enumerate(found) if one.problem] == [place]
    assert (found[place].name, found[place].label) == ("cut.jpg", 2)


def test_each_record_of_a_batch_has_its_own_problem(example, image, jpeg):
    batch = [
        example(image, 1),
        b"\xff" * 20,
        example(jpeg[:-50], 1),
        example(image, 9),
        example(jpeg, 3),
        example(None, 1),
        example(b"text", 2),
    ]
    reasons = [one.problem and one.problem.reason for one in check_records(batch, RULES, decodes)]
    assert reasons == [
        None,
        "no tf.Example",
        "image does not decode",
        "label out of range",
        None,
        "no image",
        "image does not decode",
    ]


def test_images_of_different_sizes_and_depths_are_one_batch(example, encode, image, jpeg):
    grey = encode(np.zeros((30, 9), np.uint8))
    found = check_records([example(one, 1) for one in (image, jpeg, grey)], RULES, decodes)
    assert [one.problem for one in found] == [None] * 3


def test_good_batch_is_decoded_in_one_call(example, image):
    calls = []
    batch = [example(image, 1)] * 5 + [example(image, 4)]
    check_records(batch, RULES, lambda images: calls.append(len(images)) or True)
    assert calls == [5]


@pytest.mark.parametrize("number", [0, 1, BATCH - 1, BATCH, BATCH + 1, 2 * BATCH + 5])
def test_any_number_of_records_is_checked_in_batches(example, image, number, monkeypatch):
    batches = []
    check = record_check.check_records
    monkeypatch.setattr(
        record_check,
        "check_records",
        lambda batch, *rest: batches.append(len(batch)) or check(batch, *rest),
    )
    records = [example(image if n % 3 else b"", 1, filename=b"%d" % n) for n in range(number)]
    found = list(check_all(iter(records), RULES, decodes))
    assert [serialized for serialized, _ in found] == records
    for n, (_, checked) in enumerate(found):
        assert checked.name == str(n)
        assert bool(checked.problem) == (n % 3 == 0)
    assert max(batches) <= BATCH
    assert len(batches) <= number // BATCH + 1


@pytest.mark.parametrize("number", [0, 5, BATCH, BATCH + 5])
def test_records_before_an_error_are_checked(example, image, number):
    def records():
        yield from [example(image, 1)] * number
        raise OSError("the disk is gone")

    found = check_all(records(), RULES, decodes)
    assert [next(found)[1].problem for _ in range(number)] == [None] * number
    with pytest.raises(OSError, match="the disk is gone"):
        next(found)
