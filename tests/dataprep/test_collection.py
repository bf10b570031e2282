import numpy as np
import pytest

from dataprep.collection import Collection, Collector, LabelledImage, choose, deal
from dataprep.entry import Entry
from dataprep.errors import UsageError

IMAGES = [
    (split, synset, f"{split} {synset} {index}.jpg", 10 * index)
    for split in ("train", "val")
    for synset in ("n02", "n01")
    for index in range(4)
]


def collect(images=IMAGES) -> Collection:
    collector = Collector()
    for split, synset, filename, size in images:
        collector.add(split, synset, filename, Entry(f"in/{filename}", size, crc=size + 1))
    return collector.collection()


NAMES = {"n01": "cat", "n02": "dog", "n03": "cow"}


def images(collection: Collection, split: str) -> list[LabelledImage]:
    return [LabelledImage.from_line(collection.line(row)) for row in collection.of(split)]


def test_gives_back_what_it_got():
    collection = collect()
    assert collection.synsets == ("n01", "n02")
    assert collection.sizes() == {"n01": 8, "n02": 8}
    found = {
        (split, p.synset, p.filename, p.entry.size)
        for split in ("train", "val")
        for p in images(collection, split)
    }
    assert found == set(IMAGES)
    for row in collection.of("val"):
        image = LabelledImage.from_line(collection.line(row))
        assert image.entry.path == f"in/{image.filename}"
        assert collection.synsets[row["synset"]] == image.synset
        assert (row["size"], row["crc"]) == (image.entry.size, image.entry.crc)


def test_order_does_not_depend_on_the_source():
    one, other = collect(), collect(IMAGES[::-1])
    assert images(one, "train") == images(other, "train")
    assert one.digest(NAMES) == other.digest(NAMES)


@pytest.mark.parametrize(
    "changed",
    [
        IMAGES[1:],
        [("val", *IMAGES[0][1:]), *IMAGES[1:]],
        [(*IMAGES[0][:2], "other.jpg", 0), *IMAGES[1:]],
        [(*IMAGES[0][:3], 99), *IMAGES[1:]],
        [(p[0], p[1].replace("n02", "n03"), *p[2:]) for p in IMAGES],
    ],
    ids=["one less", "split", "file name", "bytes", "class"],
)
def test_digest_tells_sources_apart(changed):
    assert collect(changed).digest(NAMES) != collect().digest(NAMES)


def test_digest_tells_class_names_apart():
    assert collect().digest(NAMES) != collect().digest({**NAMES, "n02": "hound"})


def test_two_files_for_one_record():
    with pytest.raises(UsageError, match="would be the same record"):
        collect([*IMAGES, IMAGES[3]])


def test_without():
    collection = collect()
    out = images(collection, "train")[2:4]
    kept = collection.without([image.key for image in out])
    assert len(kept.rows) == 14
    assert not set(out) & set(images(kept, "train"))


def test_split_off():
    whole = collect([("train", *image[1:3], 1 + n) for n, image in enumerate(IMAGES)])
    split = whole.split_off(0.25, seed=0)
    assert [np.bincount(split.of(s)["synset"]).tolist() for s in ("train", "val")] == [
        [6, 6],
        [2, 2],
    ]
    other = whole.split_off(0.25, seed=1)
    assert images(split, "val") != images(other, "val")


def test_split_off_puts_copies_into_one_split():
    copies = [(f"n{n % 2 + 1:02}", f"{n} {copy}", n) for n in range(10, 40) for copy in range(3)]
    split = collect([("train", *image) for image in copies]).split_off(0.2, seed=0)
    train, val = (set(split.of(s)["size"]) for s in ("train", "val"))
    assert (len(train), len(val)) == (24, 6)
    assert not train & val


@pytest.mark.parametrize("copies", [1, 3])
def test_split_off_of_a_class_of_one_image(copies):
    one = [("train", "n03", str(copy), 99) for copy in range(copies)]
    others = [("train", *image[1:3], 1 + n) for n, image in enumerate(IMAGES)]
    with pytest.raises(UsageError, match=r"cannot be in both splits, .* of n03\. Give each class"):
        collect([*others, *one]).split_off(0.2, seed=0)


@pytest.mark.parametrize(
    ("kept", "message"),
    [
        (lambda p: p[1] == "n01", "class 'n01' alone"),
        (lambda p: False, "no class with images"),
        (lambda p: p[:2] != ("val", "n02"), "the val split has no image of n02"),
        (lambda p: p[:2] != ("train", "n01"), "the train split has no image of n01"),
    ],
)
def test_classes_that_cannot_be_trained_on(kept, message):
    with pytest.raises(UsageError, match=message):
        collect(filter(kept, IMAGES)).check()


def test_images_that_can_be_trained_on():
    collect().check()


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
