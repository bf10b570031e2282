import numpy as np
import pytest

from dataprep.collection import Collection, Collector, Picture
from dataprep.entry import Entry
from dataprep.errors import UsageError

PICTURES = [
    (split, synset, f"{split} {synset} {index}.jpg", 10 * index)
    for split in ("train", "val")
    for synset in ("n02", "n01")
    for index in range(4)
]


def collect(pictures=PICTURES) -> Collection:
    collector = Collector()
    for split, synset, filename, size in pictures:
        collector.add(split, synset, filename, Entry(f"in/{filename}", size, crc=size + 1))
    return collector.collection()


NAMES = {"n01": "cat", "n02": "dog", "n03": "cow"}


def pictures(collection: Collection, split: str) -> list[Picture]:
    return [Picture.from_line(collection.line(row)) for row in collection.of(split)]


def test_gives_back_what_it_got():
    collection = collect()
    assert collection.synsets == ("n01", "n02")
    assert collection.sizes() == {"n01": 8, "n02": 8}
    found = {
        (split, p.synset, p.filename, p.entry.size)
        for split in ("train", "val")
        for p in pictures(collection, split)
    }
    assert found == set(PICTURES)
    for row in collection.of("val"):
        picture = Picture.from_line(collection.line(row))
        assert picture.entry.path == f"in/{picture.filename}"
        assert collection.synsets[row["synset"]] == picture.synset
        assert (row["size"], row["crc"]) == (picture.entry.size, picture.entry.crc)


def test_order_does_not_depend_on_the_source():
    one, other = collect(), collect(PICTURES[::-1])
    assert pictures(one, "train") == pictures(other, "train")
    assert one.digest(NAMES) == other.digest(NAMES)


@pytest.mark.parametrize(
    "changed",
    [
        PICTURES[1:],
        [("val", *PICTURES[0][1:]), *PICTURES[1:]],
        [(*PICTURES[0][:2], "other.jpg", 0), *PICTURES[1:]],
        [(*PICTURES[0][:3], 99), *PICTURES[1:]],
        [(p[0], p[1].replace("n02", "n03"), *p[2:]) for p in PICTURES],
    ],
    ids=["one less", "split", "file name", "bytes", "class"],
)
def test_digest_tells_sources_apart(changed):
    assert collect(changed).digest(NAMES) != collect().digest(NAMES)


def test_digest_tells_class_names_apart():
    assert collect().digest(NAMES) != collect().digest({**NAMES, "n02": "hound"})


def test_two_files_for_one_record():
    with pytest.raises(UsageError, match="would be the same record"):
        collect([*PICTURES, PICTURES[3]])


def test_without():
    collection = collect()
    out = pictures(collection, "train")[2:4]
    kept = collection.without([picture.key for picture in out])
    assert len(kept.rows) == 14
    assert not set(out) & set(pictures(kept, "train"))


def test_split_off():
    whole = collect([("train", *picture[1:]) for picture in PICTURES])
    split = whole.split_off(0.25, seed=0)
    assert [np.bincount(split.of(s)["synset"]).tolist() for s in ("train", "val")] == [
        [6, 6],
        [2, 2],
    ]
    other = whole.split_off(0.25, seed=1)
    assert pictures(split, "val") != pictures(other, "val")


@pytest.mark.parametrize(
    ("kept", "message"),
    [
        (lambda p: p[1] == "n01", "class 'n01' alone"),
        (lambda p: False, "no class with pictures"),
        (lambda p: p[:2] != ("val", "n02"), "the val split has no picture of n02"),
        (lambda p: p[:2] != ("train", "n01"), "the train split has no picture of n01"),
    ],
)
def test_classes_that_cannot_be_trained_on(kept, message):
    with pytest.raises(UsageError, match=message):
        collect(filter(kept, PICTURES)).check()


def test_pictures_that_can_be_trained_on():
    collect().check()
