import numpy as np
import pytest
import tensorflow as tf

from components.train.augmentation import Augmentation, erase, flip_and_shift

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
    augmented = flip_and_shift(pixels, seed(1), flip=True, shift=0).numpy()
    mirrored = (augmented == pixels[:, :, ::-1]).all(axis=(1, 2, 3))
    kept = (augmented == pixels).all(axis=(1, 2, 3))
    assert (mirrored ^ kept).all()
    assert 0.4 < mirrored.mean() < 0.6


def test_shift_moves_by_up_to_so_many_pixels_and_never_wraps(pixels):
    augmented = flip_and_shift(pixels, seed(2), flip=False, shift=2).numpy()
    moves = {
        (down, right): moved(pixels[0], down, right)
        for down in range(-2, 3)
        for right in range(-2, 3)
    }
    counts = {move: (augmented == image).all(axis=(1, 2, 3)).sum() for move, image in moves.items()}
    assert sum(counts.values()) == BATCH  # each image is one of these
    assert min(counts.values()) > 0  # and each move occurs


def test_images_of_a_batch_differ_in_their_changes(pixels):
    augmented = flip_and_shift(pixels, seed(3), flip=True, shift=1).numpy()
    assert len(np.unique(augmented, axis=0)) == 2 * 3 * 3


def test_same_seed_gives_the_same_images_and_another_gives_others(pixels):
    first, again, other = (
        flip_and_shift(pixels, seed(number), flip=True, shift=2).numpy() for number in (5, 5, 6)
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_is_the_same_inside_tf_data(pixels):
    datasets = tf.data.Dataset.from_tensors(pixels), tf.data.Dataset.from_tensors(seed(5))
    [inside] = tf.data.Dataset.zip(*datasets).map(
        lambda pixels, seed: flip_and_shift(pixels, seed, flip=True, shift=2)
    )
    np.testing.assert_array_equal(inside, flip_and_shift(pixels, seed(5), flip=True, shift=2))
    assert inside.dtype == tf.float32


def test_erased_rectangles_are_of_2_to_33_percent_in_their_share_of_the_images():
    pixels = np.ones((BATCH, 30, 40, 3), np.float32)
    erased = erase(pixels, seed(1), 0.25).numpy()[..., 0] == 0
    areas = erased.mean(axis=(1, 2))
    assert 0.18 < (areas > 0).mean() < 0.32
    found = areas[areas > 0]
    assert 0.01 < found.min() < 0.1
    assert 0.2 < found.max() < 0.35
    for mask in erased[areas > 0]:
        rows, columns = mask.any(axis=1), mask.any(axis=0)
        np.testing.assert_array_equal(mask, rows[:, None] & columns)  # one rectangle
        assert np.count_nonzero(np.diff(rows.astype(int))) <= 2
        assert np.count_nonzero(np.diff(columns.astype(int))) <= 2
    everywhere = erased.any(axis=0)
    assert everywhere[0].any()  # also at each border
    assert everywhere[-1].any()
    assert everywhere[:, 0].any()
    assert everywhere[:, -1].any()


def augmentation(**fields: object) -> Augmentation:
    nothing = {"flip": False, "shift": 0, "min_area": 1.0, "trivial": False, "erase": 0.0}
    return Augmentation(
        **{**nothing, "mixup": 0.0, "cutmix": 0.0, "seed": 1, "mixed_steps": 3, **fields}
    )


MEAN, STDDEV = np.array([100.0, 90, 80], np.float32), np.array([50.0, 60, 70], np.float32)
FIELDS = [{"flip": True}, {"shift": 1}, {"trivial": True}, {"erase": 0.5}]


def test_nothing_is_changed_where_nothing_is_configured(pixels):
    step = tf.constant(0, tf.int64)
    assert augmentation().change(pixels, step, MEAN, STDDEV) is pixels
    assert augmentation().mix(pixels, pixels, step) == (pixels, pixels)


@pytest.mark.parametrize("fields", FIELDS)
def test_changes_of_a_step_depend_on_seed_and_step_alone(fields):
    pixels = np.random.default_rng(0).normal(size=(40, 6, 8, 3)).astype(np.float32)

    def changed(seed: int, step: int) -> np.ndarray:
        changes = tf.function(augmentation(seed=seed, **fields).change)
        return changes(pixels, tf.constant(step, tf.int64), MEAN, STDDEV).numpy()

    first = changed(1, 5)
    np.testing.assert_array_equal(changed(1, 5), first)
    assert (changed(1, 6) != first).any()
    assert (changed(2, 5) != first).any()
    assert (first != pixels).any()


def test_images_are_mixed_until_the_last_epochs(pixels):
    labels = np.eye(BATCH, dtype=np.float32)
    changes = augmentation(mixup=1.0)
    for step in range(5):
        _, mixed_labels = changes.mix(pixels, labels, tf.constant(step, tf.int64))
        assert (np.abs(mixed_labels - labels).max() > 0.1) == (step < 3)
