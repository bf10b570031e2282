"""Which image goes into which shard: evenly, well mixed, and the same on every machine."""

import numpy as np


def deal(labels: np.ndarray, shards: int, seed: int) -> list[np.ndarray]:
    """Deals images to shards.

    Class by class, so that a class's numbers in any two shards differ by at most one, and so do the
    shards' sizes. Inside a shard they are in random order.

    Args:
        labels: The images' classes, [images].
        shards: Their number, at least 1.
        seed: Of the order.

    Returns:
        The indices of each shard's images.
    """
    chance = np.random.RandomState(seed)  # whose sequence never changes, unlike default_rng's
    by_class = _shuffled_by_class(labels, chance)
    return [chance.permutation(by_class[shard::shards]) for shard in range(shards)]


def choose(labels: np.ndarray, share: float, seed: int) -> np.ndarray:
    """Chooses a share of each class: one image at least, and not all of a class that has several.

    Args:
        labels: The images' classes, [images].
        share: The share, in (0, 1).
        seed: Of the choice.

    Returns:
        Whether each image is chosen, [images].
    """
    by_class = _shuffled_by_class(labels, np.random.RandomState(seed))
    sizes = np.bincount(labels)
    numbers = np.clip(np.rint(share * sizes), 1, np.maximum(sizes - 1, 1))
    starts = np.cumsum(sizes) - sizes
    ranks = np.arange(len(labels)) - starts[labels[by_class]]  # of an image in its class
    chosen = np.empty(len(labels), bool)
    chosen[by_class] = ranks < numbers[labels[by_class]]
    return chosen


def _shuffled_by_class(labels: np.ndarray, chance: np.random.RandomState) -> np.ndarray:
    shuffled = chance.permutation(len(labels))
    return shuffled[np.argsort(labels[shuffled], kind="stable")]
