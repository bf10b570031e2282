import pytest

from dataprep.errors import UsageError
from dataprep.tfrecords.splits import by_file_names, by_split_names


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["train.tfrecord", "val.tfrecord"], {"train": 0, "val": 1}),
        (["Training/a.tfrec", "validation/a.tfrec"], {"train": 0, "val": 1}),
        (["x-train-00000-of-00001", "x-test-00000-of-00001"], {"train": 0, "val": 1}),
        (["train2017/a", "train2017/b", "dev/a"], {"train": 0, "val": 2}),
        (["test-set/train.tfrec", "test-set/valid.tfrec"], {"train": 0, "val": 1}),
        (["a/data-train.gz", "a/data-validation.gz", "a/data-test.gz"], {"train": 0, "val": 1}),
    ],
)
def test_splits_are_told_by_file_names(names, expected):
    """The file's own name before its folder's; the test split where no other is for validation."""
    splits = by_file_names(names)
    assert {split: splits.of[names[place]] for split, place in expected.items()} == {
        split: split for split in expected
    }
    assert not splits.whole


def test_a_test_split_beside_a_validation_split_is_left_out_and_told():
    splits = by_file_names(["train.tfrec", "val.tfrec", "test.tfrec"])
    assert splits.of == {"train.tfrec": "train", "val.tfrec": "val"}
    assert splits.told.endswith("left out: test.tfrec")


@pytest.mark.parametrize("names", [["a.tfrec", "b.tfrec"], ["train-0.tfrec", "train-1.tfrec"]])
def test_without_a_second_split_all_is_for_training(names):
    splits = by_file_names(names)
    assert splits.of == dict.fromkeys(names, "train")
    assert splits.whole


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["train.tfrec", "more.tfrec"], r"which split is more\.tfrec of\? train\.tfrec tells"),
        (["train-or-val.tfrec"], r"'train-or-val\.tfrec' names several splits, train and val"),
        (["val.tfrec", "test.tfrec"], r"no training split, but test\.tfrec, val\.tfrec"),
    ],
)
def test_names_that_do_not_tell_are_refused(names, message):
    with pytest.raises(UsageError, match=message):
        by_file_names(names)


def test_other_splits_of_tensorflow_datasets_are_left_out():
    splits = by_split_names(["train", "unlabelled", "test", "train_extra"])
    assert splits.of == {"train": "train", "test": "val"}
    assert splits.told == "train from train; val from test; left out: train_extra, unlabelled"
