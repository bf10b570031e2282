import re
import zipfile
from pathlib import Path

import pytest
from images import all_files, image_file, read_split, tiny_imagenet, write_folder, write_zip

from dataprep import tiny_imagenet as command
from dataprep.errors import PreparationError, UsageError
from dataprep.flags import Beam, Making
from dataset.folder import read_dataset

SHARED = Path(__file__).parents[2].parent / "shared" / "data"

Record = dict[str, bytes | int]


def make(source: Path, output: Path, shards: tuple[int, int] = (2, 1), **flags) -> Path:
    command.write(str(source), *shards, Making(str(output), **flags))
    return output


def as_set(records: list[Record]) -> set[tuple]:
    found = {tuple(sorted(record.items())) for record in records}
    assert len(found) == len(records)
    return found


def flattened(files: dict[str, bytes]) -> dict[str, bytes]:
    """The flattened layout of a Tiny ImageNet that has the official one."""
    flat = {}
    for path, data in files.items():
        path = path.removeprefix("tiny-imagenet-200/")
        if path.startswith("val/images/"):
            number = int(path.removeprefix("val/images/val_").removesuffix(".JPEG"))
            path = f"val/ILSVRC2012_val_{number + 1:08d}.JPEG"
        elif path == "val/val_annotations.txt":
            classes = [line.split(b"\t")[1] for line in data.splitlines()]
            data = b"".join(b"%s\n" % synset for synset in classes)
        flat[path.replace("/images/", "/")] = data
    return flat


@pytest.fixture(scope="module")
def official(tmp_path_factory) -> Path:
    """A data set made of the official layout."""
    folder = tmp_path_factory.mktemp("tiny")
    return make(write_zip(folder / "tiny.zip", tiny_imagenet()), folder / "data")


def test_same_records_as_the_conversion_tool(tmp_path):
    source = SHARED / "tiny-imagenet-200-5classes.zip"
    if not source.exists():
        pytest.skip(f"needs {source}")
    output = make(source, tmp_path / "data", shards=(128, 64))
    for split in ("train", "val"):
        told = read_split(SHARED / "imagenet-tfrecords-5classes", split)
        assert as_set(read_split(output, split)) == as_set(told)


@pytest.mark.slow
def test_twenty_classes_are_what_the_zip_holds(tmp_path):
    source = SHARED / "tiny-imagenet-200-20classes.zip"
    if not source.exists():
        pytest.skip(f"needs {source}")
    output = make(source, tmp_path / "data", shards=(128, 64))
    expected: dict[str, set] = {"train": set(), "val": set()}
    with zipfile.ZipFile(source) as archive:
        root = "tiny-imagenet-200"
        label = {s: i for i, s in enumerate(sorted(archive.read(f"{root}/wnids.txt").split()), 1)}
        lines = archive.read(f"{root}/val/val_annotations.txt").decode().splitlines()
        synset_of = {line.split("\t")[0]: line.split("\t")[1].encode() for line in lines}
        for name in filter(lambda name: name.endswith(".JPEG"), archive.namelist()):
            _, split, *_, file = name.split("/")
            if split == "train":
                synset, filename = file.split("_")[0].encode(), file
            elif split == "val":
                synset = synset_of[file]
                filename = f"ILSVRC2012_val_{int(file[4:-5]) + 1:08d}.JPEG"
            else:
                continue
            expected[split].add((filename.encode(), label[synset], synset, archive.read(name)))
    for split, number in (("train", 10_000), ("val", 1_000)):
        records = read_split(output, split)
        keys = ("filename", "class/label", "class/synset", "encoded")
        found = {tuple(record[f"image/{key}"] for key in keys) for record in records}
        assert len(records) == number
        assert found == expected[split]
        shards = read_dataset(output).shards[split]
        assert len(shards) == {"train": 128, "val": 64}[split]


def test_class_names_are_the_whole_glosses(official):
    assert (official / "labels.txt").read_text("utf-8") == "the n01, n01\nthe n02, n02\n"


def test_record(official):
    [record] = [
        r for r in read_split(official, "val") if r["image/filename"].endswith(b"_00000003.JPEG")
    ]
    assert record == {
        "image/encoded": image_file(10_002),
        "image/class/label": 2,
        "image/class/synset": b"n02",
        "image/format": b"JPEG",
        "image/filename": b"ILSVRC2012_val_00000003.JPEG",
        "image/height": 16,
        "image/width": 16,
        "image/colorspace": b"RGB",
        "image/channels": 3,
    }


def test_flattened_layout_gives_the_same_data_set(tmp_path, official):
    source = write_zip(tmp_path / "flat.zip", flattened(tiny_imagenet()))
    assert all_files(make(source, tmp_path / "data")) == all_files(official)


def test_unpacked_folder_gives_the_same_data_set(tmp_path, official):
    source = write_folder(tmp_path / "unpacked", tiny_imagenet())
    assert all_files(make(source, tmp_path / "data")) == all_files(official)
    inner = source / "tiny-imagenet-200"
    assert all_files(make(inner, tmp_path / "again")) == all_files(official)


def sorted_by_class(files: dict[str, bytes], annotations: bool) -> dict[str, bytes]:
    """The validation images in folders of classes, with or without their annotations."""
    name = "tiny-imagenet-200/val/val_annotations.txt"
    classes = dict(line.split("\t")[:2] for line in files[name].decode().splitlines())
    found = {
        re.sub(r"val/images/(.*)", lambda m: f"val/{classes[m[1]]}/{m[1]}", path): data
        for path, data in files.items()
    }
    if not annotations:
        del found[name]
    return found


@pytest.mark.parametrize("annotations", [True, False])
def test_validation_images_in_folders_of_classes_give_the_same_data_set(
    tmp_path, official, annotations
):
    files = sorted_by_class(tiny_imagenet(), annotations)
    assert all_files(make(write_zip(tmp_path / "a.zip", files), tmp_path / "data")) == all_files(
        official
    )


def test_validation_image_in_the_folder_of_another_class(tmp_path):
    files = sorted_by_class(tiny_imagenet(), annotations=True)
    files["tiny-imagenet-200/val/n02/val_0.JPEG"] = files.pop(
        "tiny-imagenet-200/val/n01/val_0.JPEG"
    )
    with pytest.raises(UsageError, match=r"val/n02/val_0\.JPEG is of class n01 by its line in"):
        make(write_zip(tmp_path / "a.zip", files), tmp_path / "data")


def test_the_same_data_set_is_left_as_it_is(tmp_path, official):
    source = write_zip(tmp_path / "tiny.zip", tiny_imagenet())
    assert not command.write(str(source), 2, 1, Making(str(official)))
    with pytest.raises(UsageError, match="another source or command"):
        command.write(str(source), 2, 1, Making(str(official), seed=1))


def test_another_seed_is_another_order_of_the_same_records(tmp_path, official):
    source = write_zip(tmp_path / "tiny.zip", tiny_imagenet())
    other = make(source, tmp_path / "data", seed=1)
    records, others = read_split(official, "train"), read_split(other, "train")
    assert records != others
    assert as_set(records) == as_set(others)


def test_two_classes_with_one_gloss_are_told_apart(tmp_path):
    files = tiny_imagenet(("n1", "n2", "n3"))
    files["tiny-imagenet-200/words.txt"] = b"n1\tcrane\nn2\tcrane\nn3\theron\nn4\tstork\n"
    output = make(write_zip(tmp_path / "tiny.zip", files), tmp_path / "data")
    assert (output / "labels.txt").read_text() == "crane (n1)\ncrane (n2)\nheron\n"


def test_without_glosses_a_class_is_named_by_its_synset(tmp_path):
    files = tiny_imagenet()
    del files["tiny-imagenet-200/words.txt"]
    output = make(write_zip(tmp_path / "tiny.zip", files), tmp_path / "data")
    assert (output / "labels.txt").read_text() == "n01\nn02\n"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"val/val_annotations.txt": None},
            "has no val/val_annotations.txt, and in val/ no .* It holds: test, ",
        ),
        ({"val/val_annotations.txt": b"\xff"}, "val_annotations.txt is not UTF-8 text"),
        ({"val/images/val_3.JPEG": None}, "not there: ILSVRC2012_val_00000004.JPEG"),
        ({"val/images/val_9.JPEG": b""}, "images/val_9.JPEG has no line in"),
        ({"val/val_annotations.txt": b"val_0.JPEG\t\n"}, "line 1: .* has no class"),
        ({"val/val_annotations.txt": b"a\tn1\na\tn1\n"}, "line 2: .* is on a line before"),
    ],
)
def test_incomplete_source(tmp_path, change, message):
    files = tiny_imagenet()
    for path, data in change.items():
        files[f"tiny-imagenet-200/{path}"] = data
    present = {path: data for path, data in files.items() if data is not None}
    with pytest.raises(UsageError, match=message):
        make(write_zip(tmp_path / "tiny.zip", present), tmp_path / "data")
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.zip"]


def test_other_files_are_told(tmp_path, capfd):
    files = tiny_imagenet()
    files["tiny-imagenet-200/train/n01/images/notes.md"] = b""
    make(write_zip(tmp_path / "tiny.zip", files), tmp_path / "data")
    told = "ignored 1 files that are no images by their names, or in no class's folder: "
    assert f"{told}tiny-imagenet-200/train/n01/images/notes.md\n" in capfd.readouterr().err


def test_source_that_is_missing(tmp_path):
    with pytest.raises(UsageError, match=r"nowhere\.zip: there is no such file or folder"):
        make(tmp_path / "nowhere.zip", tmp_path / "data")


def test_beam_fails(tmp_path):
    source = write_zip(tmp_path / "tiny.zip", tiny_imagenet())
    with pytest.raises(PreparationError, match="NoSuchRunner.*\nDetails: .*log"):
        make(source, tmp_path / "data", beam=Beam(args=("--runner=NoSuchRunner",)))
    assert not (tmp_path / "data").exists()
