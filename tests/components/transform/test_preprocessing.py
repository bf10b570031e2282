import numpy as np
import pytest
import tensorflow as tf

from components.transform import transformed
from components.transform.class_table import CLASS_TABLE, ClassTable, read_class_table
from components.transform.image import (
    crop_to_aspect_ratio,
    decode_and_resize,
    denormalize,
    normalize,
)
from dataset import record

pytestmark = pytest.mark.slow  # they run Beam


def stripes(height: int, width: int, axis: int) -> np.ndarray:
    """An image in which every pixel tells its row (axis 0) or column (axis 1), in steps of 10."""
    position = np.indices((height, width))[axis]
    return np.repeat(position[:, :, None] * 10, 3, axis=2).astype(np.uint8)


def decode(image: bytes, height: int, width: int) -> np.ndarray:
    return decode_and_resize(tf.constant([image]), height, width)[0].numpy()


@pytest.mark.parametrize("file_format", ["PNG", "JPEG"])
@pytest.mark.parametrize("size", [(8, 8), (5, 9), (40, 8), (1, 1)])
def test_constant_image_keeps_its_exact_value_at_any_size(encode, file_format, size):
    grey = np.full((*size, 3), 77, np.uint8)
    decoded = decode(encode(grey, file_format), 8, 8)
    assert decoded.dtype == np.float32
    np.testing.assert_array_equal(decoded, np.full((8, 8, 3), 77.0))


@pytest.mark.parametrize("file_format", ["PNG", "JPEG"])
def test_grey_image_has_three_equal_channels(encode, file_format):
    grey = stripes(8, 8, axis=1)[:, :, 0]
    decoded = decode(encode(grey, file_format), 8, 8)
    np.testing.assert_allclose(decoded, stripes(8, 8, axis=1), atol=2)
    assert (decoded == decoded[:, :, :1]).all()


def test_image_of_the_size_wanted_is_as_decoded(encode):
    array = np.random.RandomState(0).randint(256, size=(16, 24, 3), dtype=np.uint8)
    [pixels] = decode_and_resize(tf.constant([encode(array)]), 16, 24)
    np.testing.assert_array_equal(pixels, array)


def test_channels_are_red_green_blue(encode):
    orange = np.tile(np.array([200, 100, 50], np.uint8), (8, 8, 1))
    np.testing.assert_array_equal(decode(encode(orange), 8, 8)[0, 0], [200, 100, 50])
    np.testing.assert_allclose(decode(encode(orange, "JPEG"), 8, 8)[0, 0], [200, 100, 50], atol=5)


def test_wide_image_loses_its_sides_and_is_not_squeezed(encode):
    # columns 4 to 11 of 16 are the centre; squeezing would show columns 0 to 15
    decoded = decode(encode(stripes(8, 16, axis=1)), 8, 8)
    np.testing.assert_array_equal(decoded, stripes(8, 16, axis=1)[:, 4:12])


def test_tall_image_loses_top_and_bottom_and_is_not_squeezed(encode):
    decoded = decode(encode(stripes(20, 8, axis=0)), 8, 8)
    np.testing.assert_array_equal(decoded, stripes(20, 8, axis=0)[6:14])


def test_crop_follows_the_ratio_asked_for(encode):
    decoded = decode(encode(stripes(12, 12, axis=0)), 6, 12)
    np.testing.assert_array_equal(decoded, stripes(12, 12, axis=0)[3:9])


@pytest.mark.parametrize("size", [(1, 100), (100, 1), (3, 7), (7, 3), (6, 4)])
def test_crop_is_the_largest_part_with_the_ratio_and_never_empty(size):
    cropped = crop_to_aspect_ratio(tf.zeros([*size, 3], tf.uint8), 8, 16).shape
    # the largest h × w inside `size` with w = 2h, down to whole pixels
    height = max(1, min(size[0], size[1] // 2))
    assert cropped == (height, max(1, min(size[1], size[0] * 2)), 3)


def test_large_image_is_averaged_not_sampled(encode):
    lines = np.zeros((64, 64), np.uint8)
    lines[:, ::8] = 255  # one column in eight, between which sampling would fall
    decoded = decode(encode(lines), 8, 8)
    np.testing.assert_allclose(decoded[:, 1:-1], 255 / 8, atol=3)


def test_bad_image_is_an_error(encode):
    with pytest.raises(tf.errors.InvalidArgumentError):
        decode(b"no image", 8, 8)
    with pytest.raises(tf.errors.InvalidArgumentError):
        decode(encode(stripes(8, 8, axis=0))[:40], 8, 8)


def test_channel_that_never_varies_is_shifted_and_stays_finite():
    pixels = tf.constant([[10.0, 20.0, 30.0], [12.0, 24.0, 30.0]])
    normalised = normalize(pixels, tf.constant([11.0, 22.0, 30.0]), tf.constant([1.0, 2.0, 0.0]))
    np.testing.assert_array_equal(normalised, [[-1, -1, 0], [1, 1, 0]])


def test_denormalize_takes_normalize_back():
    pixels = tf.constant([[0.0, 128.0, 255.0], [17.0, 30.0, 30.0]])
    moments = tf.constant([100.0, 20.0, 30.0]), tf.constant([50.0, 7.0, 0.0])
    restored = denormalize(normalize(pixels, *moments), *moments)
    np.testing.assert_allclose(restored, pixels, atol=1e-4)


def test_moments_are_the_training_images_own_by_channel(transform_output, encode, images):
    image = tf.constant([encode(images[0]), encode(images[1])])
    features = transform_output.transform_features_layer()({record.IMAGE: image})
    for name, moment in (
        (transformed.PIXEL_MEAN, images.mean(axis=(0, 1, 2))),
        (transformed.PIXEL_STDDEV, images.std(axis=(0, 1, 2))),
    ):
        np.testing.assert_allclose(features[name], np.tile(moment, (2, 1)), rtol=1e-5)


def test_moments_are_exact_however_the_records_were_batched(analyze, encode):
    """float32 cannot add up more than 2**24; else the same data would not give the same model."""
    grey = np.full([512, 512, 3], 255, np.uint8)
    grey[::2, ::3] = 254
    records = [(encode(grey), 1, None)] * 65
    features = analyze(records, 512, 512).transform_features_layer()(
        {record.IMAGE: tf.constant([encode(grey)])}
    )
    exact = np.float32(grey[..., 0].astype(np.float64).mean()), np.float32(grey[..., 0].std())
    np.testing.assert_array_equal(features[transformed.PIXEL_MEAN][0], [exact[0]] * 3)
    np.testing.assert_allclose(features[transformed.PIXEL_STDDEV][0], [exact[1]] * 3, rtol=1e-6)


def test_graph_normalises_all_training_images_to_mean_0_and_stddev_1(
    transform_output, encode, images, normalized
):
    encoded = tf.constant([encode(image) for image in images])
    pixels = transform_output.transform_features_layer()({record.IMAGE: encoded})[
        transformed.PIXELS
    ]
    np.testing.assert_allclose(pixels, normalized(images), atol=1e-4)
    np.testing.assert_allclose(np.mean(pixels, axis=(0, 1, 2)), [0, 0, 0], atol=1e-4)
    np.testing.assert_allclose(np.std(pixels, axis=(0, 1, 2)), [1, 1, 1], atol=1e-4)


def test_class_index_counts_from_0(transform_output, encode, images):
    features = transform_output.transform_features_layer()(
        {
            record.IMAGE: tf.constant([encode(images[0])] * 2),
            record.LABEL: tf.constant([1, 6], tf.int64),
        }
    )
    np.testing.assert_array_equal(features[transformed.CLASS_INDEX], [0, 5])


def test_class_table_counts_the_examples_and_names_classes_by_synset(transform_output):
    assert read_class_table(transform_output) == ClassTable(
        names=("n01", "n02", "n03", "n04", "n05", "n06"), counts=(9, 5, 4, 3, 2, 1)
    )


def test_class_table_takes_the_data_sets_own_names(transform_output):
    names = ["ant", "bee", "cat", "dog", "eel", "fox", "never in the training split"]
    table = read_class_table(transform_output, names)
    assert table == ClassTable(names=tuple(names), counts=(9, 5, 4, 3, 2, 1, 0))


def test_more_labels_than_names_are_refused(transform_output):
    with pytest.raises(ValueError, match=r"label 6 is in the training split, but only 5 class"):
        read_class_table(transform_output, ["ant", "bee", "cat", "dog", "eel"])


def test_one_colour_without_synsets(analyze, encode):
    """All images alike: no variance to divide by, and no synset to name a class by."""
    blue = encode(np.tile(np.array([0, 100, 200], np.uint8), (4, 4, 1)))
    graph = analyze([(blue, 1, None), (blue, 3, None), (blue, 3, None)], height=4, width=4)
    features = graph.transform_features_layer()({record.IMAGE: tf.constant([blue])})
    np.testing.assert_array_equal(features[transformed.PIXELS], np.zeros((1, 4, 4, 3)))
    assert read_class_table(graph) == ClassTable(names=("1", "2", "3"), counts=(1, 0, 2))


class TransformOutput:
    """Stands for TFT's, with a class table of one's own."""

    def __init__(self, path, *lines: str) -> None:
        path.write_text("".join(f"{line}\n" for line in lines))
        self._path = str(path)

    def vocabulary_file_by_name(self, name: str) -> str:
        assert name == CLASS_TABLE
        return self._path


def test_label_with_two_synsets_is_refused(tmp_path):
    output = TransformOutput(tmp_path / "table", "7 1\tn01", "3 2\tn02", "1 2\tn03")
    with pytest.raises(ValueError, match=r"label 2 stands for two classes, 'n02' and 'n03'"):
        read_class_table(output)


def test_synset_may_hold_spaces_and_a_label_may_lack_one(tmp_path):
    output = TransformOutput(tmp_path / "table", "7 10\tlast", "3 1\tguinea pig", "2 2\t")
    table = read_class_table(output)
    assert table.examples == 12
    assert table.names == ("guinea pig", *"23456789", "last")


@pytest.mark.parametrize("lines", [("2 1\tn01", "1 1\t"), ("2 1\t", "1 1\tn01")])
def test_class_is_named_by_those_of_its_records_that_have_a_synset(tmp_path, lines):
    table = read_class_table(TransformOutput(tmp_path / "table", *lines, "4 2\tn02"))
    assert table == ClassTable(names=("n01", "n02"), counts=(3, 4))
