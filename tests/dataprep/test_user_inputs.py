"""The inputs that users bring (`../shared/data/user-inputs`), given to the commands as they are."""

import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from commands import run as run_pipeline
from images import all_files, read_split, write_folder

from dataprep.__main__ import main
from dataset.folder import read_dataset

SHARED = Path(__file__).parents[2].parent / "shared" / "data"

pytestmark = pytest.mark.slow  # each runs Beam


class Outcome(NamedTuple):
    """What a command did."""

    code: int
    out: str
    err: str
    output: Path

    @property
    def counts(self) -> dict[str, dict[str, int]]:
        """Split → class → number of records."""
        names = read_dataset(self.output).class_names
        counts = {}
        for split in ("train", "val"):
            labels = [r["image/class/label"] for r in read_split(self.output, split)]
            counts[split] = {name: labels.count(i) for i, name in enumerate(names, start=1)}
        return counts


@pytest.fixture
def source(tmp_path) -> Callable[[str], Path]:
    """Function: name of an input → where it is, or, of a .tgz, the one folder or file inside."""

    def source(name: str) -> Path:
        path = SHARED / "user-inputs" / name
        if not path.exists():
            pytest.skip(f"needs {path}")
        if path.suffix == ".tgz":
            with tarfile.open(path) as archive:
                archive.extractall(tmp_path / "unpacked")
            return next((tmp_path / "unpacked").iterdir())
        return path

    return source


@pytest.fixture
def run(monkeypatch, tmp_path, capfd) -> Callable[..., Outcome]:
    """Function: a command, its source and further flags → what it did."""

    def run(command: str, source: Path, *flags: str, output: str = "data") -> Outcome:
        arguments = [command, "--source", str(source), "--output", str(tmp_path / output), *flags]
        monkeypatch.setattr(sys, "argv", ["dataprep", *arguments])
        code = 0
        try:
            main()
        except SystemExit as stop:
            code = stop.code
        return Outcome(code, *capfd.readouterr(), tmp_path / output)

    return run


@pytest.mark.parametrize("name", ["f23_finder.zip", "f23_utf8locale.zip"])
def test_zip_with_utf8_names_and_without_their_flag(run, source, tmp_path, name):
    zipped = run("image-folder", source(name))
    assert zipped.code == 0
    assert zipped.counts == {"train": {"Kätzchen": 5, "cat": 5}, "val": {"Kätzchen": 1, "cat": 1}}
    assert "not UTF-8" not in zipped.err
    with zipfile.ZipFile(source(name)) as archive:
        files = {
            info.filename.encode("cp437").decode(): archive.read(info)
            for info in archive.infolist()
            if not info.is_dir()
        }
    unpacked = run("image-folder", write_folder(tmp_path / "unpacked", files), output="other")
    assert all_files(unpacked.output) == all_files(zipped.output)


def test_two_spellings_of_one_name_are_one_class(run, source):
    outcome = run("image-folder", source("f6_nfd.tgz"))
    assert outcome.code == 0
    assert outcome.counts == {"train": {"Kätzchen": 10, "cat": 5}, "val": {"Kätzchen": 2, "cat": 1}}
    assert "NFC and NFD); both are one class" in outcome.err


@pytest.mark.parametrize(
    ("name", "train", "val", "told"),
    [
        ("f32_training_validation.tgz", 6, 6, "training/ is train, validation/ is val"),
        ("f13_TrainVal_upper.tgz", 6, 2, "Train/ is train, Val/ is val"),
        ("f12_trainvalidation.tgz", 6, 2, "train/ is train, validation/ is val"),
    ],
)
def test_splits_under_other_names(run, source, name, train, val, told):
    outcome = run("image-folder", source(name))
    assert outcome.code == 0
    assert outcome.counts == {
        "train": {"cat": train, "dog": train},
        "val": {"cat": val, "dog": val},
    }
    assert f"note: the source is split: {told}\n" in outcome.err


def test_classes_are_the_folders_at_the_top(run, source):
    outcome = run("image-folder", source("f9_nested.tgz"))
    assert outcome.code == 0
    assert "images deeper inside belong to them: animal/cat, animal/dog, " in outcome.err
    assert "move them to the top" in outcome.err
    assert "  classes: 2 (train, val)\n    animal (6, 2)\n    plant (6, 2)\n" in outcome.out


def test_empty_class_is_told(run, source):
    outcome = run("image-folder", source("f2_emptyclass.tgz"))
    assert outcome.code == 0
    assert "note: no class is made of folders without images: eel\n" in outcome.err


def test_class_of_one_image(run, source):
    outcome = run("image-folder", source("f15_onepic.tgz"))
    assert outcome.code == 2
    [error] = [line for line in outcome.err.splitlines() if line.startswith("error: ")]
    assert "one image cannot be in both splits" in error
    assert "of eel. Give each class two images at least, or remove its folder" in error
    assert not outcome.output.exists()


def test_copies_go_to_one_split(run, source):
    outcome = run("image-folder", source("f18_dups.tgz"))
    assert outcome.code == 0
    train, val = (
        {record["image/encoded"] for record in read_split(outcome.output, split)}
        for split in ("train", "val")
    )
    assert len(train) == 6
    assert len(val) == 2
    assert not train & val
    assert "note: 16 images are copies of others in their class and split: " in outcome.err


def test_copies_in_both_given_splits_are_told(run, source, tmp_path):
    folder = source("f18_dups.tgz")
    for split in ("train", "val"):
        (tmp_path / "given" / split).mkdir(parents=True)
        for name in ("cat", "dog"):
            (tmp_path / "given" / split / name).symlink_to(folder / name)
    outcome = run("image-folder", tmp_path / "given")
    assert outcome.code == 0
    assert "note: 24 validation images are in the training split too, byte for byte: val/" in (
        outcome.err
    )


def test_image_under_two_classes(run, source):
    outcome = run("image-folder", source("f19_twoclasses.tgz"))
    assert outcome.code == 0
    [note] = [line for line in outcome.err.splitlines() if "in several classes" in line]
    assert note.startswith("note: 6 images are in several classes, byte for byte: ")
    for number in range(6):
        pair = {f"cat/{number}.jpg", f"dog/from_cat_{number}.jpg"}
        named = [
            set(part.split(" = ")) for part in note.split(": ")[2].split(" and ")[0].split(", ")
        ]
        assert len(named) == 3
        assert all(any(name in pair for name in names) <= (names == pair) for names in named)


def test_grey_validation_images_are_the_skew_that_the_pipeline_refuses(run, source, tmp_path):
    made = run("image-folder", source("f31_greyval.tgz"))
    assert made.code == 0
    for split, colorspace, channels in (("train", b"RGB", 3), ("val", b"Grayscale", 1)):
        for record in read_split(made.output, split):
            assert (record["image/colorspace"], record["image/channels"]) == (colorspace, channels)
    refused = run_pipeline(tmp_path, "--data", str(made.output), "--to", "AnomalyGate")
    assert refused.exit_code == 4
    assert "val_train: `image/colorspace`" in refused.screen


def test_archive_that_is_no_zip(run, source):
    source("g2_flowers.tgz")
    outcome = run("image-folder", SHARED / "user-inputs" / "g2_flowers.tgz")
    assert outcome.code == 2
    assert "g2_flowers.tgz is not a zip archive but gzip (.tar.gz, .tgz). Unpack it" in outcome.err


def test_damaged_and_doubtful_images_are_named(run, source):
    folder = source("h_broken.tgz")
    refused = run("image-folder", folder)
    assert refused.code == 1
    assert "8 of 28 images cannot be used" in refused.err
    assert (
        "cat/b_cut_with_eoi.jpg (Corrupt JPEG data: premature end of data segment)" in refused.err
    )
    outcome = run("image-folder", folder, "--max-left-out", "0.4")
    assert outcome.code == 0
    assert outcome.counts["train"]["cat"] + outcome.counts["val"]["cat"] == 12
    assert "  left out: 8 images that cannot be used, cat/a_cut_no_eoi.jpg, " in outcome.out
    assert "  doubtful: 1 images that were taken and may be damaged, cat/c_zero_hole.jpg; " in (
        outcome.out
    )
    names = {
        record["image/filename"].decode()
        for split in ("train", "val")
        for record in read_split(outcome.output, split)
    }
    assert not names & {"cat/b_cut_with_eoi.jpg", "cat/d_prog_cut_with_eoi.jpg"}


@pytest.mark.parametrize(
    "archive", ["t2c_val_sorted_flat_ann.zip", "t2b_val_sorted_flat_noann.zip"]
)
def test_tiny_imagenet_whose_validation_images_are_sorted(run, source, archive):
    """With and without val_annotations.txt: the records of the official zip."""
    folder = source("t2c_val_sorted.tgz").parent
    shards = ("--train-shards", "2", "--val-shards", "1")
    outcome = run("tiny-imagenet", folder / archive, *shards)
    assert outcome.code == 0
    official = run(
        "tiny-imagenet", SHARED / "tiny-imagenet-200-5classes.zip", *shards, output="other"
    )
    assert all_files(outcome.output) == all_files(official.output)
