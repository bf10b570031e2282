import numpy as np
import pytest
import tensorflow as tf

from components.train.augmentation import augment

BATCH, HEIGHT, WIDTH = 400, 5, 7


@pytest.fixture
def pixels():
    """Images all alike, in which each value occurs once."""
    image = np.arange(1, HEIGHT * WIDTH * 3 + 1, dtype=np.float32).reshape(HEIGHT, WIDTH, 3)
    return np.tile(image, (BATCH, 1, 1, 1))


def seed(number: int) -> tf.Tensor:
    return tf.constant([number, 0], tf.int64)


def moved(image: np.ndarray, down: int, right: int) -> np.ndarray:
    """`image` moved, and reflected where the border opens."""

    def source(to: int, by: int, side: int) -> int:
        at = abs(to - by)
        return at if at < side else 2 * (side - 1) - at

    rows = [source(row, down, HEIGHT) for row in range(HEIGHT)]
    columns = [source(column, right, WIDTH) for column in range(WIDTH)]
    return image[rows][:, columns]


def test_flip_mirrors_half_of_the_images_and_nothing_else(pixels):
    augmented = augment(pixels, seed(1), flip=True, shift=0).numpy()
    mirrored = (augmented == pixels[:, :, ::-1]).all(axis=(1, 2, 3))
    kept = (augmented == pixels).all(axis=(1, 2, 3))
    assert (mirrored ^ kept).all()
    assert 0.4 < mirrored.mean() < 0.6


def test_shift_moves_by_up_to_so_many_pixels_and_never_wraps(pixels):
    augmented = augment(pixels, seed(2), flip=False, shift=2).numpy()
    moves = {
        (down, right): moved(pixels[0], down, right)
        for down in range(-2, 3)
        for right in range(-2, 3)
    }
    counts = {move: (augmented == image).all(axis=(1, 2, 3)).sum() for move, image in moves.items()}
    assert sum(counts.values()) == BATCH  # each image is one of these
    assert min(counts.values()) > 0  # and each move occurs


def test_images_of_a_batch_differ_in_their_changes(pixels):
    augmented = augment(pixels, seed(3), flip=True, shift=1).numpy()
    assert len(np.unique(augmented, axis=0)) == 2 * 3 * 3


def test_neither_flip_nor_shift_changes_nothing(pixels):
    np.testing.assert_array_equal(augment(pixels, seed(1), flip=False, shift=0), pixels)


def test_same_seed_gives_the_same_images_and_another_gives_others(pixels):
    first, again, other = (
        augment(pixels, seed(number), flip=True, shift=2).numpy() for number in (5, 5, 6)
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_is_the_same_inside_tf_data(pixels):
    datasets = tf.data.Dataset.from_tensors(pixels), tf.data.Dataset.from_tensors(seed(5))
    [inside] = tf.data.Dataset.zip(*datasets).map(
        lambda pixels, seed: augment(pixels, seed, flip=True, shift=2)
    )
    np.testing.assert_array_equal(inside, augment(pixels, seed(5), flip=True, shift=2))
    assert inside.dtype == tf.float32
