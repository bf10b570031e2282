from pathlib import Path

import hand_made
import pytest
from hand_made import CONVERTED, example, examples, image

from dataprep.inspection import SAMPLES, inspect, read_image
from dataset.errors import DataError
from dataset.folder import read_dataset


def found_in(folder: Path, advance=lambda _: None):
    return inspect(read_dataset(folder), advance)


def written(folder: Path, train=None, val=None, names=hand_made.NAMES) -> Path:
    return hand_made.write(folder, train or hand_made.train(), val or hand_made.val(), names=names)


def test_facts_of_a_split(tmp_path):
    images = [image(0, (20, 10)), image(1, (30, 40), "JPEG"), image(2, (25, 9))]
    train = [[example(label, encoded) for label, encoded in zip((1, 1, 3), images, strict=True)]]
    facts = found_in(written(tmp_path / "data", train)).splits["train"]
    assert list(facts.widths) == [20, 30, 25]
    assert list(facts.heights) == [10, 40, 9]
    assert list(facts.encoded) == [len(encoded) for encoded in images]
    assert facts.formats == {"PNG": 2, "JPEG": 1}
    assert facts.colors == {"RGB": 3}
    assert facts.labels == {1: 2, 3: 1}
    assert facts.unusable == 0


def test_splits_are_apart(tmp_path):
    found = found_in(written(tmp_path / "data"))
    assert {split: facts.labels.total() for split, facts in found.splits.items()} == {
        "train": 9,
        "val": 3,
    }


@pytest.mark.parametrize(
    "bad",
    [
        b"\xff",
        example(1, b""),
        example(1, b"hello, world"),
        example(1, image(0)[:20]),
        hand_made.tf.train.Example().SerializeToString(),
    ],
    ids=["no example", "zero bytes", "text", "cut header", "no features"],
)
def test_unusable_record_is_counted(tmp_path, bad):
    facts = found_in(written(tmp_path / "data", [[bad, *examples(3, 0)]])).splits["train"]
    assert facts.unusable == 1
    assert facts.labels == {1: 1, 2: 1, 3: 1}
    assert len(facts.widths) == 3


def test_samples_are_the_first_records_of_each_class(tmp_path):
    found = found_in(written(tmp_path / "data", [examples(6, 0), examples(30, 6)]))
    places = found.splits["train"].samples[2]
    assert [read_image(place) for place in places] == [
        image(seed) for seed in range(1, 3 * SAMPLES, 3)
    ]


def test_names_of_classes(tmp_path):
    train = [[*examples(3, 0), example(5, image(9), "n5"), example(6, image(10))]]
    labelled = found_in(written(tmp_path / "labelled", train))
    assert [labelled.name(label) for label in labelled.labels] == [
        *hand_made.NAMES,
        "no such class",
        "no such class",
    ]
    bare = found_in(written(tmp_path / "bare", train, names=None))
    assert bare.labels == [1, 2, 3, 5, 6]
    assert [bare.name(label) for label in bare.labels] == ["n1", "n2", "n3", "n5", ""]


def test_damaged_shard_is_named(tmp_path):
    shard = written(tmp_path / "data") / "train" / "train-00001-of-00003"
    content = bytearray(shard.read_bytes())
    content[-20] ^= 1
    shard.write_bytes(content)
    with pytest.raises(DataError, match=rf"{shard}: record 2, at byte \d+, was altered"):
        found_in(tmp_path / "data")


def test_tells_of_all_bytes_that_it_reads(tmp_path):
    folder, read = written(tmp_path / "data"), []
    found_in(folder, read.append)
    assert sum(read) == sum(shard.stat().st_size for shard in folder.glob("*/*-of-*"))


@pytest.mark.skipif(not CONVERTED.exists(), reason="needs ../shared/data")
def test_shards_of_the_conversion_tool():
    found = found_in(CONVERTED)
    assert found.splits["train"].labels == dict.fromkeys(range(1, 6), 100)
    assert found.splits["val"].labels == dict.fromkeys(range(1, 6), 20)
    assert set(found.splits["train"].widths) == {64}
    assert found.name(1) == "n01644900"
