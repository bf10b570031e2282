import json
from collections import Counter

import numpy as np
import pytest
import tensorflow as tf
from tfx import types
from tfx.types import standard_artifacts

from components.data_gate import (
    NAMED_PROBLEMS,
    DataGate,
    DataReport,
    Report,
    check,
    inspect,
    read_report,
)
from components.dataset import DataError

CLASSES = 3


@pytest.fixture(scope="module")
def picture(encode):
    return encode(np.full((4, 4, 3), 9, np.uint8))


def report(train: dict[int, int], val: dict[int, int]) -> Report:
    """A report on good records: label → how many, of each split."""
    return Report({"train": Counter(train), "val": Counter(val)}, Counter(), [])


@pytest.mark.parametrize("label", [1, CLASSES])
@pytest.mark.parametrize("split", ["train", "val"])
def test_good_record(example, picture, label, split):
    found = inspect(example(picture, label), split, CLASSES)
    assert found.labels[split] == {label: 1}
    assert not found.refused
    assert not found.problems


@pytest.mark.parametrize("label", [0, -1, CLASSES + 1])
def test_label_out_of_range(example, picture, label):
    found = inspect(example(picture, label, filename=b"cat_7.png"), "val", CLASSES)
    assert found.records("val") == 0
    assert found.refused.total() == 1
    [problem] = found.problems
    assert problem.startswith("val: cat_7.png: ")


def test_label_out_of_range_tells_the_label_and_the_range(example, picture):
    found = inspect(example(picture, 0, filename=b"a.png"), "train", CLASSES)
    assert found.problems == ["train: a.png: label 0 is not in 1..3"]
    found = inspect(example(picture, 4, filename=b"a.png"), "train", CLASSES)
    assert found.problems == ["train: a.png: label 4 is not in 1..3"]
    assert found.refused == {"label out of range": 1}


def test_any_label_from_1_will_do_where_the_number_of_classes_is_unknown(example, picture):
    assert inspect(example(picture, 999), "train", 0).labels["train"] == {999: 1}
    assert inspect(example(picture, 0), "train", 0).refused == {"label out of range": 1}


def test_missing_label(example, picture):
    found = inspect(example(picture, None, filename=b"a.png"), "train", CLASSES)
    assert found.refused == {"no label": 1}
    assert found.problems == ["train: a.png: has no `image/class/label`"]


@pytest.mark.parametrize("image", [None, b""])
def test_missing_picture(example, image):
    found = inspect(example(image, 1, filename=b"a.png"), "train", CLASSES)
    assert found.refused == {"no picture": 1}
    assert found.problems == ["train: a.png: `image/encoded` is missing or empty"]


def test_picture_that_does_not_decode(example, picture):
    for image in (b"GIF, honestly", picture[:30]):
        found = inspect(example(image, 1, filename=b"cut.png"), "train", CLASSES)
        assert found.refused == {"picture does not decode": 1}
        assert found.problems[0].startswith("train: cut.png: picture does not decode: ")


def test_record_without_a_file_name_is_told_by_its_pictures_digest(example):
    [problem] = inspect(example(b"no picture", 1), "train", CLASSES).problems
    # printf 'no picture' | sha256sum
    assert problem.startswith("train: picture with SHA-256 9ed97c950c33: ")


def test_merging_adds_counts_and_keeps_the_first_problems_by_name():
    merged = Report.empty()
    for number in reversed(range(NAMED_PROBLEMS + 5)):
        one = report({1: 2}, {2: 1})
        one.refused["no label"] = 1
        one.problems.append(f"train: {number:03d}.png: bad")
        merged.merge(one)
    assert merged.labels == {
        "train": {1: 2 * (NAMED_PROBLEMS + 5)},
        "val": {2: NAMED_PROBLEMS + 5},
    }
    assert merged.refused == {"no label": NAMED_PROBLEMS + 5}
    assert merged.problems == [f"train: {number:03d}.png: bad" for number in range(NAMED_PROBLEMS)]


def test_report_is_the_same_after_json():
    before = report({1: 3, 10: 4}, {2: 5})
    before.refused["no label"] = 2
    before.problems.append("train: Kätzchen.png: bad")
    after = Report.from_json(before.to_json())
    assert after == before
    assert after.records("train") == 7
    assert after.labels["train"][10] == 4  # JSON's keys are strings


def test_good_data_passes():
    check(report({1: 5, 2: 5, 3: 1}, {3: 2}), CLASSES)
    check(report({1: 5, 2: 5, 3: 1}, {3: 2}), 0)


def test_class_without_training_records_passes_where_the_data_set_names_it():
    check(report({1: 5, 2: 5}, {3: 2}), CLASSES)
    check(report({1: 5, 3: 5}, {2: 2}), 0)


def test_bad_records_are_counted_and_named():
    found = report({1: 5, 2: 5}, {1: 2})
    found.refused.update({"no label": 3, "no picture": 1})
    found.problems += ["train: a.png: has no label", "val: b.png: no picture"]
    with pytest.raises(
        DataError,
        match=r"4 bad records \(3 × no label, 1 × no picture\):\n  train: a.png: .*\n  val: b.png",
    ):
        check(found, CLASSES)


@pytest.mark.parametrize("split", ["train", "val"])
def test_split_without_records(split):
    counts = {"train": {1: 1, 2: 1}, "val": {1: 1}, split: {}}
    with pytest.raises(DataError, match=f"split `{split}` has no records"):
        check(report(**counts), CLASSES)


def test_all_labels_the_same():
    with pytest.raises(DataError, match="every record of split `train` has the label 2"):
        check(report({2: 500}, {2: 100}), CLASSES)


def test_validation_label_beyond_the_training_splits_last():
    with pytest.raises(DataError, match=r"split `val` has labels \[4, 7\], beyond .* last, 3"):
        check(report({1: 5, 3: 5}, {1: 1, 7: 1, 4: 1}), 0)


@pytest.fixture
def gate(tmp_path):
    """Function: records of each split, number of classes → DataGate's report, as TFX runs it."""

    def gate(train: list[bytes], val: list[bytes], num_classes: int) -> Report:
        examples = standard_artifacts.Examples()
        examples.uri = str(tmp_path / "examples")
        examples.split_names = json.dumps(["train", "val"])
        for split, records in (("train", train), ("val", val)):
            folder = tmp_path / "examples" / f"Split-{split}"
            folder.mkdir(parents=True)
            for shard in range(2):
                path = str(folder / f"data_tfrecord-0000{shard}-of-00002.gz")
                with tf.io.TFRecordWriter(path, "GZIP") as writer:
                    for serialized in records[shard::2]:
                        writer.write(serialized)
        artifact = DataReport()
        artifact.uri = str(tmp_path / "report")
        (tmp_path / "report").mkdir()
        node = DataGate(
            examples=types.Channel(type=standard_artifacts.Examples),
            num_classes=num_classes,
            source="",
        )
        executor = node.EXECUTOR_SPEC.executor_class(
            node.EXECUTOR_SPEC.executor_class.Context(
                beam_pipeline_args=["--runner=FnApiRunner"], tmp_dir=str(tmp_path), unique_id="1"
            )
        )
        executor.Do(
            {"examples": [examples]},
            {"report": [artifact]},
            {"num_classes": num_classes, "source": ""},
        )
        return read_report(artifact.uri)

    return gate


def test_node_reads_every_record_of_every_split(gate, example, picture):
    train = [example(picture, label) for label in (1, 1, 2, 3, 3)]
    assert gate(train, [example(picture, 2)], CLASSES) == report({1: 2, 2: 1, 3: 2}, {2: 1})


def test_node_fails_and_names_the_bad_record(gate, example, picture):
    train = [example(picture, label) for label in (1, 1, 2, 3, 3)]
    bad = example(picture[:30], 2, filename=b"cut_short.png")
    with pytest.raises(DataError, match=r"1 bad records .*\n  val: cut_short\.png: picture does"):
        gate(train, [example(picture, 2), bad], CLASSES)
