"""The splits of a folder of images: those of the source, or made here; those that will not do."""

import json

import pytest
from images import class_folders, image_file, write_folder, write_zip
from made_folder import make, names

from dataprep.errors import UsageError
from dataprep.image_folder import find_splits


def test_split_is_stratified(tmp_path):
    source = write_folder(tmp_path / "mine", class_folders({"cat": 10, "dog": 20}))
    output = make(source, tmp_path / "data")
    manifest = json.loads((output / "manifest.json").read_text())
    assert manifest["splits"]["train"]["classes"] == {"cat": 8, "dog": 16}
    assert manifest["splits"]["val"]["classes"] == {"cat": 2, "dog": 4}
    everything = names(output, "train") + names(output, "val")
    assert sorted(everything) == sorted(
        f"{path}".encode() for path in class_folders({"cat": 10, "dog": 20})
    )


def test_splits_of_the_source_are_kept(tmp_path):
    files = {
        **{f"train/{path}": data for path, data in class_folders({"cat": 3, "dog": 2}).items()},
        **{f"val/{path}": data for path, data in class_folders({"cat": 1, "dog": 1}).items()},
        "test/unknown/1.jpg": image_file(),
    }
    output = make(write_zip(tmp_path / "mine.zip", files), tmp_path / "data")
    assert names(output, "train") == [
        b"cat/0.jpg",
        b"cat/1.jpg",
        b"cat/2.jpg",
        b"dog/0.jpg",
        b"dog/1.jpg",
    ]
    assert names(output, "val") == [b"cat/0.jpg", b"dog/0.jpg"]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (class_folders({"cat": 3}), "class 'cat' alone; two classes are needed"),
        ({"1.jpg": image_file()}, "no class with images"),
        ({}, "no class with images"),
        (
            {"train/cat/1.jpg": b"", "train/dog/1.jpg": b""},
            "has train/ alone, and none of val, valid",
        ),
        (class_folders({"cat": 3, "dog": 1}), "cannot be in both splits, .* of dog. Give"),
        (
            {
                f"{split}/{name}/1.jpg": b""
                for split, name in (("train", "cat"), ("train", "dog"), ("val", "cat"))
            },
            "the val split has no image of dog",
        ),
        (
            {
                f"{split}/{name}/1.jpg": b""
                for split, name in (("train", "cat"), ("val", "dog"), ("val", "cat"))
            },
            "the train split has no image of dog",
        ),
    ],
    ids=["one class", "no folder", "empty", "no val", "one image", "val lacks", "train lacks"],
)
def test_sources_that_cannot_be_trained_on(tmp_path, files, message):
    (tmp_path / "mine").mkdir()
    with pytest.raises(UsageError, match=message):
        make(write_folder(tmp_path / "mine", files), tmp_path / "data")
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1, float("nan")])
def test_share_of_validation(tmp_path, share):
    with pytest.raises(UsageError, match="--val-share must be between 0 and 1"):
        make(tmp_path / "mine", tmp_path / "data", val_share=share)


def test_class_that_loses_all_its_validation_images(tmp_path):
    files = {f"train/{path}": data for path, data in class_folders({"cat": 3, "dog": 3}).items()}
    files |= {"val/cat/1.jpg": b"", "val/dog/1.jpg": image_file()}
    with pytest.raises(UsageError, match="the val split has no image of cat"):
        make(write_folder(tmp_path / "mine", files), tmp_path / "data", max_left_out=0.9)
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("folders", "splits"),
    [
        ("train/cat val/cat", {"train": "train", "val": "val"}),
        ("Training/cat VALIDATION/cat", {"Training": "train", "VALIDATION": "val"}),
        ("train/cat valid/cat test/cat", {"train": "train", "valid": "val"}),
        ("cat dog", {}),
        ("cat/deep dog/deep", {}),
        ("train bus bus/red", {}),  # a class of trains
    ],
)
def test_splits_by_their_names(folders, splits):
    assert find_splits(tuple(path.split("/")) for path in folders.split()) == splits


@pytest.mark.parametrize(
    ("folders", "message"),
    [
        ("training/cat", "has training/ alone, and none of val, valid, validation beside it"),
        ("validation/cat test/cat", "has validation/ alone, and none of train, training beside"),
        ("train/cat val/cat valid/cat", "val and valid both mean the val split"),
        ("Train/cat train/cat", "Train and train both mean the train split"),
    ],
)
def test_splits_that_are_not_two(folders, message):
    with pytest.raises(UsageError, match=message):
        find_splits(tuple(path.split("/")) for path in folders.split())


def notes(capfd) -> list[str]:
    lines = capfd.readouterr().err.splitlines()
    return [line.removeprefix("note: ") for line in lines if line.startswith("note: ")]


def test_what_is_decided_is_told(tmp_path, capfd):
    files = {
        f"{split}/{path}": data
        for split in ("Train", "valid")
        for path, data in class_folders(
            {"cat": 2, "Cat": 2, "animal/cat": 2 if split == "valid" else 3}
        ).items()
    }
    write_folder(tmp_path / "mine", files)
    (tmp_path / "mine" / "Train" / "eel").mkdir()
    make(tmp_path / "mine", tmp_path / "data")
    *classes, is_split, leaked = notes(capfd)
    assert classes == [
        "no class is made of folders without images: eel",
        "Cat, cat are classes of their own, though only the case differs",
        "the classes are the folders at the top; images deeper inside belong to them: animal/cat. "
        "If those are the classes, move them to the top",
    ]
    assert is_split == "the source is split: Train/ is train, valid/ is val"
    assert leaked.startswith("6 validation images are in the training split too, byte for byte: ")


def test_source_without_splits_is_told(tmp_path, capfd):
    make(write_folder(tmp_path / "mine", class_folders({"cat": 3, "dog": 3})), tmp_path / "data")
    assert notes(capfd) == ["the source is not split: 0.2 of each class is for validation"]
