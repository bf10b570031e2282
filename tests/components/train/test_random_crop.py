import io

import numpy as np
import pytest
import tensorflow as tf
from exif import exif, jpeg, segment
from PIL import Image

from components.train.random_crop import random_crops

COUNT = 200


def gradient(width: int, height: int) -> bytes:
    """A PNG file whose red and green tell the column and the row, as shares of 255."""
    columns, rows = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    image = Image.fromarray(np.stack([columns, rows, rows * 0], axis=2).astype(np.uint8))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def crops(file: bytes, min_area: float, number: int = 1, height: int = 16, width: int = 16):
    seed = tf.constant([number, 0], tf.int64)
    files = tf.constant([file] * COUNT)
    return tf.function(random_crops)(files, seed, min_area, height, width).numpy()


def shares(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Width and height of the parts, as shares of the whole."""
    side = 16 / 15 / 255  # from the first to the last pixel's centre
    width = np.ptp(pixels[..., 0].mean(axis=1), axis=1) * side
    height = np.ptp(pixels[..., 1].mean(axis=2), axis=1) * side
    return width, height


def test_parts_have_at_least_the_area_and_every_place():
    width, height = shares(crops(gradient(200, 200), 0.25))
    areas = width * height
    assert areas.min() > 0.22
    assert areas.max() > 0.85
    assert areas.mean() == pytest.approx(0.6, abs=0.1)
    ratios = width / height
    assert ratios.min() > 0.72
    assert ratios.max() < 1.4
    assert np.ptp(ratios) > 0.3
    left = crops(gradient(200, 200), 0.25)[:, 0, 0, 0]
    assert left.min() < 20
    assert left.max() > 60


def test_images_of_a_batch_have_parts_of_their_own_and_the_seed_decides():
    file = gradient(60, 50)
    first = crops(file, 0.3)
    assert len(np.unique(first, axis=0)) > COUNT * 0.9
    np.testing.assert_array_equal(crops(file, 0.3), first)
    assert (crops(file, 0.3, number=2) != first).any()


def test_image_too_long_for_such_a_part_gives_its_middle():
    pixels = crops(gradient(400, 20), 0.9)
    middle = pixels[..., 0].mean()
    assert middle == pytest.approx(127.5, abs=3)
    assert len(np.unique(pixels, axis=0)) == 1


def test_parts_are_of_the_upright_image():
    half = np.zeros((60, 60, 3), np.uint8)
    half[:30] = 255  # white above
    lying = jpeg(Image.fromarray(half), segment(exif(6)))  # to be turned by a quarter
    columns = crops(lying, 0.9).mean(axis=(1, 3))
    assert (columns[:, -1] > 200).all()  # white on the right
    assert (columns[:, 0] < 50).all()


def test_network_that_is_not_square():
    assert crops(gradient(50, 50), 0.5, height=8, width=16).shape == (COUNT, 8, 16, 3)
