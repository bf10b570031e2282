import numpy as np
import pytest

from dataprep.deal import choose, deal

LABELS = np.repeat([0, 1, 2], [50, 7, 300])


@pytest.mark.parametrize("shards", [1, 4, 13])
def test_every_image_is_dealt_once_and_evenly(shards):
    hands = deal(LABELS, shards, seed=0)
    assert sorted(np.concatenate(hands)) == list(range(len(LABELS)))
    assert np.ptp([len(hand) for hand in hands]) <= 1
    for label in range(3):
        counts = [np.count_nonzero(LABELS[hand] == label) for hand in hands]
        assert np.ptp(counts) <= 1


def test_more_shards_than_images():
    hands = deal(np.array([0, 1]), 5, seed=0)
    assert [len(hand) for hand in hands] == [1, 1, 0, 0, 0]


def test_classes_are_mixed_inside_a_shard():
    [hand] = deal(np.repeat([0, 1], 500), 1, seed=0)
    changes = np.count_nonzero(np.diff(hand // 500))
    assert 400 < changes < 600  # of 999 neighbours half have the other class


def test_the_seed_decides():
    first, same, other = (np.concatenate(deal(LABELS, 3, seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, same)
    assert (first != other).any()


def test_order_is_the_same_in_every_version():
    hands = deal(np.array([0, 0, 0, 1, 1, 1]), 2, seed=0)
    assert [hand.tolist() for hand in hands] == [[3, 2, 0], [4, 5, 1]]


def test_chooses_a_share_of_each_class():
    chosen = choose(LABELS, 0.2, seed=0)
    assert np.bincount(LABELS[chosen]).tolist() == [10, 1, 60]


@pytest.mark.parametrize(("share", "expected"), [(0.01, [1, 1]), (0.99, [1, 9])])
def test_chooses_one_at_least_and_never_all(share, expected):
    labels = np.repeat([0, 1], [2, 10])
    assert np.bincount(labels[choose(labels, share, seed=0)]).tolist() == expected
