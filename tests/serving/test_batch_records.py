"""`python -m serving.batch` with a data set's shards; the model is one that knows sizes."""

import json
import sys

import numpy as np
import pytest
from images import write_folder
from record_fixtures import encode, example, write_shards

from served_model.files import CLASSES_FILE, SAVED_MODEL
from serving import batch, batch_pipeline
from serving.answer import Prediction, Refusal

__all__ = ["encode", "example", "write_shards"]  # fixtures

NAMES = ("ant", "bee", "große Katze")


class LengthModel:
    """Calls an image by the length of its file; refuses one that ends with "no"."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def classify(self, contents):
        return [
            Refusal("no") if content.endswith(b"no") else Prediction((f"{len(content)}",), (1.0,))
            for content in contents
        ]


@pytest.fixture
def predict(monkeypatch, tmp_path, capsys):
    """Function: source → exit code, lines that were written by file and record, stderr."""
    monkeypatch.setattr(batch_pipeline, "SavedModel", LengthModel)
    write_folder(tmp_path / "7", {SAVED_MODEL: b"", CLASSES_FILE: b"[]"})
    output = tmp_path / "o.jsonl"

    def predict(source, *flags):
        arguments = ("--source", source, "--model", tmp_path / "7", "--output", output, *flags)
        monkeypatch.setattr(sys, "argv", ["batch", *map(str, arguments)])
        code = 0
        try:
            batch.main()
        except SystemExit as stop:
            code = stop.code
        lines = map(json.loads, output.read_text("utf-8").splitlines()) if output.exists() else []
        found = {(line.pop("file"), line.pop("record", None)): line for line in lines}
        return code, found, capsys.readouterr().err

    return predict


@pytest.fixture
def image(encode):
    return encode(np.zeros((9, 9, 3), np.uint8))


@pytest.fixture
def dataset(tmp_path, image, example, write_shards):
    """The folder of a data set, with records of every kind."""
    folder = tmp_path / "daten [1]"
    train = [
        [example(image, 1, **{"class/synset": b"n1"}), example(image, 3)],
        [],
        [example(image + b"no", 2), example(b"text", 2), example(None, 2), b"\xff\xff"],
    ]
    write_shards(folder, "train", train)
    write_shards(folder, "val", [[example(image, None), example(image, 9)]])
    (folder / "labels.txt").write_text("\n".join(NAMES) + "\n", "utf-8")
    write_folder(folder, {"other.png": image})
    return folder


def test_each_record_has_its_class_beside_its_answer(predict, dataset, image):
    code, lines, _ = predict(dataset, "--batch-size", 2)
    assert code == 0
    answer = {"classes": [str(len(image))], "scores": [1.0]}
    first, last = "train/train-00000-of-00003", "train/train-00002-of-00003"
    val = "val/val-00000-of-00001"
    bee = {"label": 2, "class": "bee"}
    assert lines == {
        (first, 0): {"label": 1, "class": "ant", **answer},
        (first, 1): {"label": 3, "class": "große Katze", **answer},
        (last, 0): {**bee, "error": "no"},
        (last, 1): {**bee, "error": "is not a JPEG or PNG file"},
        (last, 2): {**bee, "error": "has no image/encoded"},
        (last, 3): {"error": "is no tf.Example"},
        (val, 0): answer,
        (val, 1): {"label": 9, **answer},
    }


def test_without_names_the_class_is_the_records_own_key(predict, dataset):
    (dataset / "labels.txt").unlink()
    _, lines, _ = predict(dataset)
    first = "train/train-00000-of-00003"
    assert lines[first, 0]["class"] == "n1"
    assert "class" not in lines[first, 1]


def test_one_split_is_enough(predict, dataset):
    for shard in (dataset / "train").iterdir():
        shard.unlink()
    assert set(predict(dataset)[1]) == {("val/val-00000-of-00001", n) for n in (0, 1)}


def test_damaged_shard_ends_with_an_error_and_the_others_do_not(predict, dataset):
    shard = dataset / "train" / "train-00000-of-00003"
    content = shard.read_bytes()
    shard.write_bytes(content[:-1])
    code, lines, _ = predict(dataset)
    assert code == 0
    damaged = {number: line for (file, number), line in lines.items() if file.endswith(shard.name)}
    assert damaged[0]["class"] == "ant"
    assert damaged[1]["error"].startswith("record 1, at byte ")
    assert damaged[1]["error"].endswith("is cut short; of this shard nothing after it was read")
    assert ("val/val-00000-of-00001", 1) in lines


def test_data_set_without_records(predict, tmp_path, write_shards):
    write_shards(tmp_path / "empty", "val", [[]])
    code, lines, errors = predict(tmp_path / "empty")
    assert (code, lines) == (1, {})
    assert f"{tmp_path / 'empty'}: no record in its shards" in errors


def test_names_that_are_no_text(predict, dataset):
    (dataset / "labels.txt").write_bytes(b"\xff")
    code, lines, errors = predict(dataset)
    assert (code, lines) == (1, {})
    assert "labels.txt is not UTF-8" in errors


def test_folder_of_images_has_files_alone(predict, tmp_path, image):
    write_folder(tmp_path / "images", {"a/1.png": image, "train/train-1.png": image})
    _, lines, _ = predict(tmp_path / "images")
    assert lines[("a/1.png", None)] == {"classes": [str(len(image))], "scores": [1.0]}
    assert len(lines) == 2
