import numpy as np
import pytest
import tensorflow as tf

from components.train.mixing import mix

BATCH, SIDE = 300, 8
LABELS = np.eye(BATCH, dtype=np.float32)
# Image i has the value i everywhere.
PIXELS = np.tile(np.arange(BATCH, dtype=np.float32)[:, None, None, None], (1, SIDE, SIDE, 3))


def mixed(mixup: float, cutmix: float, number: int = 1) -> tuple[np.ndarray, np.ndarray]:
    seed = tf.constant([number, 0], tf.int64)
    pixels, labels = mix(tf.constant(PIXELS), tf.constant(LABELS), seed, mixup, cutmix)
    return pixels.numpy(), labels.numpy()


def own_shares(labels: np.ndarray) -> np.ndarray:
    """Each image's share in itself; the rest is its partner's."""
    own, partner = np.diag(labels), np.diag(np.roll(labels, 1, axis=1))
    np.testing.assert_allclose(own + partner, 1, atol=1e-6)
    return own


def means(labels: np.ndarray) -> np.ndarray:
    """Of the pixels that images have which are mixed as their labels."""
    return labels @ np.arange(BATCH)


def test_mixup_blends_images_and_labels_in_the_same_shares():
    pixels, labels = mixed(0.4, 0.0)
    assert (np.ptp(pixels, axis=(1, 2, 3)) == 0).all()
    np.testing.assert_allclose(pixels[:, 0, 0, 0], means(labels), rtol=1e-5)


@pytest.mark.parametrize(("alpha", "variance"), [(0.2, 0.179), (1.0, 0.0833), (8.0, 0.0147)])
def test_shares_are_of_the_beta_distribution(alpha, variance):
    shares = own_shares(mixed(alpha, 0.0)[1])
    assert shares.mean() == pytest.approx(0.5, abs=0.07)
    assert shares.var() == pytest.approx(variance, rel=0.25)  # 1 / (4 (2 alpha + 1))


def test_cutmix_puts_one_box_of_the_partner_and_counts_its_pixels():
    pixels, labels = mixed(0.0, 1.0)
    is_own = pixels[..., 0] == PIXELS[..., 0]
    is_partners = pixels[..., 0] == np.roll(PIXELS, 1, axis=0)[..., 0]
    assert (is_own ^ is_partners).all()
    np.testing.assert_allclose(own_shares(labels), is_own.mean(axis=(1, 2)), atol=1e-6)
    for box in is_partners:
        np.testing.assert_array_equal(box, box.any(axis=1)[:, None] & box.any(axis=0))
    assert is_partners.mean(axis=0).min() > 0.1  # everywhere, also at the borders


def test_with_both_each_image_has_one_of_them():
    pixels, labels = mixed(1.0, 1.0)
    is_cut = np.ptp(pixels, axis=(1, 2, 3)) > 0
    assert 0.3 < is_cut.mean() < 0.6  # some boxes are empty
    np.testing.assert_allclose(pixels.mean(axis=(1, 2, 3)), means(labels), rtol=1e-4)


@pytest.mark.parametrize(("mixup", "cutmix"), [(0.2, 0.0), (0.0, 1.0), (0.2, 1.0)])
def test_the_seed_decides(mixup, cutmix):
    first, again, other = (mixed(mixup, cutmix, number)[0] for number in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
