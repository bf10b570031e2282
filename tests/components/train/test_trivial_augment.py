import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageEnhance, ImageOps

from components.train import trivial_augment as module
from components.train.trivial_augment import CHANGES, trivial_augment

HEIGHT, WIDTH = 12, 20
IMAGE = np.random.default_rng(0).integers(20, 200, (HEIGHT, WIDTH, 3)).astype(np.float32)


def changed(name: str, strength: float) -> np.ndarray:
    function = getattr(module, f"_{name}")
    result = function(tf.constant(IMAGE), tf.constant(strength, tf.float32))
    return np.clip(result.numpy(), 0, 255)


def pillow() -> Image.Image:
    return Image.fromarray(IMAGE.astype(np.uint8))


@pytest.mark.parametrize("strength", [-1.0, -0.3, 0.0, 0.5, 1.0])
@pytest.mark.parametrize(
    ("name", "enhance"),
    [
        ("brightness", ImageEnhance.Brightness),
        ("color", ImageEnhance.Color),
        ("contrast", ImageEnhance.Contrast),
        ("sharpness", ImageEnhance.Sharpness),
    ],
)
def test_colour_changes_are_those_of_pillow(name, enhance, strength):
    wanted = np.array(enhance(pillow()).enhance(1 + 0.99 * strength), np.float32)
    found = changed(name, strength)
    if name == "sharpness":  # Pillow leaves the border as it is
        wanted, found = wanted[1:-1, 1:-1], found[1:-1, 1:-1]
    np.testing.assert_allclose(found, wanted, atol=2.5)  # Pillow rounds in between


def test_other_changes_of_values_are_those_of_pillow():
    def of_pillow(function, *arguments):
        return np.array(function(pillow(), *arguments), np.float32)

    np.testing.assert_allclose(
        changed("auto_contrast", 0), of_pillow(ImageOps.autocontrast), atol=1
    )
    np.testing.assert_array_equal(changed("posterize", 0.5), of_pillow(ImageOps.posterize, 5))
    np.testing.assert_array_equal(changed("posterize", -1.0), of_pillow(ImageOps.posterize, 2))
    np.testing.assert_array_equal(changed("solarize", 0.2), of_pillow(ImageOps.solarize, 204))
    equalized = changed("equalize", 0)
    assert equalized.min() == 0
    assert equalized.max() == 255
    np.testing.assert_allclose(equalized.mean(axis=(0, 1)), 127.5, atol=8)
    for channel in range(3):  # the order of the values stays
        order = np.argsort(IMAGE[..., channel], axis=None)
        assert (np.diff(equalized[..., channel].ravel()[order]) >= 0).all()


def test_images_of_one_colour_stay_finite_and_as_they_are():
    grey = np.full((4, 4, 3), 77, np.float32)
    for function in (module._auto_contrast, module._equalize):
        np.testing.assert_array_equal(function(tf.constant(grey), tf.constant(1.0)), grey)


def test_geometric_changes_move_pixels_about_the_centre():
    np.testing.assert_allclose(changed("translate_x", 0.5)[:, :15], IMAGE[:, 5:], atol=1e-3)
    np.testing.assert_allclose(changed("translate_y", -0.5)[3:], IMAGE[:-3], atol=1e-3)
    for name in ("shear_x", "shear_y", "rotate", "translate_x", "translate_y"):
        np.testing.assert_allclose(changed(name, 0.0), IMAGE, atol=1e-3)
    turned = changed("rotate", 2 / 3)  # of 135 degrees: a quarter turn
    square = slice(WIDTH // 2 - HEIGHT // 2, WIDTH // 2 + HEIGHT // 2)
    either = [np.rot90(IMAGE[:, square], turns) for turns in (1, -1)]
    assert any(np.allclose(turned[:, square], wanted, atol=0.1) for wanted in either)
    sheared = changed("shear_x", 1 / 0.99)  # a column for each row
    middle = HEIGHT // 2
    row = sheared[middle + 1, 8:12]
    assert any(
        np.allclose((row + sheared[middle + 1, 7:11]) / 2, IMAGE[middle + 1, by : by + 4], atol=60)
        for by in (9, 6)
    )


def test_each_image_is_changed_in_its_own_way_and_the_seed_decides():
    pixels = tf.constant(np.tile(IMAGE, (200, 1, 1, 1)))

    def augmented(number: int) -> np.ndarray:
        return tf.function(trivial_augment)(pixels, tf.constant([number, 0], tf.int64)).numpy()

    first = augmented(1)
    assert first.shape == pixels.shape
    assert first.min() >= 0
    assert first.max() <= 255
    same = (np.abs(first - IMAGE).max(axis=(1, 2, 3)) < 1e-3).mean()
    assert 0.02 < same < 0.2  # one in fourteen
    assert len(np.unique(first, axis=0)) > 200 * 0.7
    np.testing.assert_array_equal(augmented(1), first)
    assert (augmented(2) != first).any()


def test_table_has_the_fourteen_changes_of_the_paper():
    assert len(set(CHANGES)) == 14
