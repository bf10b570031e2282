"""A folder of images becomes records: their classes, their shards, and what is left out."""

import json

import pytest
from images import class_folders, huge_png, image_file, read_split, write_folder, write_zip
from made_folder import make, names

from dataprep.errors import PreparationError, UsageError
from dataset.folder import read_dataset


def test_folder_and_archive_and_any_order_give_the_same(tmp_path):
    files = class_folders({"cat": 5, "dog": 5})
    folder = make(write_folder(tmp_path / "mine", files), tmp_path / "one")
    reverse = dict(reversed(files.items()))
    archive = make(write_zip(tmp_path / "mine.zip", reverse), tmp_path / "two")
    assert (folder / "manifest.json").read_bytes() == (archive / "manifest.json").read_bytes()


def test_archive_whose_names_begin_with_a_dot(tmp_path):
    """As bsdtar writes them, the `tar` of macOS and Windows."""
    files = {f"./{name}": data for name, data in class_folders({"cat": 2, "dog": 2}).items()}
    source = write_zip(tmp_path / "mine.zip", {"./": b"", **files, "./.DS_Store": b""})
    output = make(source, tmp_path / "data")
    assert read_dataset(output).class_names == ("cat", "dog")
    assert read_split(output, "val")[0]["image/filename"].startswith(b"cat/")


def test_class_names_with_spaces_quotes_and_other_scripts(tmp_path):
    classes = ["Kätzchen", 'it\'s a "dog"', "日本 犬", "a,b\\c", "🐟"]
    source = write_folder(tmp_path / "mine", class_folders(dict.fromkeys(classes, 2)))
    output = make(source, tmp_path / "my dätä")
    assert read_dataset(output).class_names == tuple(sorted(classes))
    assert set(json.loads((output / "manifest.json").read_text("utf-8"))["synsets"]) == set(classes)
    for record in read_split(output, "val"):
        synset = record["image/class/synset"].decode()
        assert sorted(classes)[record["image/class/label"] - 1] == synset
        assert record["image/filename"].decode().startswith(f"{synset}/")


@pytest.mark.parametrize(
    "name", ["two\nlines", "cr\rinside", " begins", "ends ", "line\u2028two", "\x1b[1m"]
)
def test_class_names_that_labels_txt_cannot_hold(tmp_path, name):
    source = write_folder(tmp_path / "mine", class_folders({"cat": 2, name: 2}))
    with pytest.raises(UsageError, match="cannot be a class's name in labels.txt"):
        make(source, tmp_path / "data")
    assert not (tmp_path / "data").exists()


def test_images_below_a_class_and_in_no_class(tmp_path, capfd):
    files = class_folders({"cat": 2, "dog": 2})
    files |= {"cat/2021/may/1.jpg": image_file(7), "cover.jpg": image_file(8), "dog/notes.txt": b""}
    output = make(write_folder(tmp_path / "mine", files), tmp_path / "data")
    everything = names(output, "train") + names(output, "val")
    assert len(everything) == 5
    assert b"cat/2021/may/1.jpg" in everything
    told = capfd.readouterr().err
    assert "ignored 2 files" in told
    assert "cover.jpg" in told
    assert "dog/notes.txt" in told


def test_output_inside_the_source(tmp_path):
    source = write_folder(tmp_path / "mine", class_folders({"cat": 2, "dog": 2}))
    with pytest.raises(UsageError, match="lies inside --source"):
        make(source, source / "out" / "data")
    assert sorted(path.name for path in source.iterdir()) == ["cat", "dog"]


@pytest.mark.parametrize(("images", "shards"), [(12, 1), (1300, 2)])
def test_number_of_shards_follows_the_images(tmp_path, images, shards):
    files = class_folders(dict.fromkeys(("cat", "dog"), images // 2))
    output = make(write_zip(tmp_path / "mine.zip", files), tmp_path / "data")
    assert len(list((output / "train").iterdir())) == shards
    assert len(list((output / "val").iterdir())) == 1


@pytest.mark.parametrize("shards", [(0, 1), (1, 0), (-1, None)])
def test_no_shards(tmp_path, shards):
    source = write_folder(tmp_path / "mine", class_folders({"cat": 2, "dog": 2}))
    with pytest.raises(UsageError, match="shards must be between 1 and"):
        make(source, tmp_path / "data", shards=shards)


def spoilt(number: int) -> dict[str, bytes]:
    """Two classes of 50 images, of whose first class so many are spoilt."""
    files = class_folders({"cat": 50, "dog": 50})
    for index in range(number):
        files[f"cat/{index}.jpg"] = (b"", b"text", image_file(side=2))[index % 3]
    return files


def test_unusable_images_are_left_out_and_told(tmp_path):
    source = write_folder(tmp_path / "mine", spoilt(4))
    output = make(source, tmp_path / "data", shards=(5, 3), max_left_out=0.08)
    manifest = json.loads((output / "manifest.json").read_text())
    assert manifest["left_out"] == [
        {"file": "cat/0.jpg", "reason": "empty file"},
        {
            "file": "cat/1.jpg",
            "reason": "not an image: none of JPEG, PNG, GIF, BMP, WEBP, TIFF",
        },
        {"file": "cat/2.jpg", "reason": "too small: 2×2 pixels; the least is 8 a side"},
        {"file": "cat/3.jpg", "reason": "empty file"},
    ]
    for split in manifest["splits"].values():
        sizes = [shard["records"] for shard in split["shards"].values()]
        assert max(sizes) - min(sizes) <= 1
    assert sum(split["records"] for split in manifest["splits"].values()) == 96
    assert sum(split["classes"]["cat"] for split in manifest["splits"].values()) == 46
    assert len(names(output, "train") + names(output, "val")) == 96
    assert sorted(path.name for path in output.iterdir()) == [
        "labels.txt",
        "manifest.json",
        "train",
        "val",
    ]


def test_too_many_unusable_images(tmp_path):
    source = write_folder(tmp_path / "mine", spoilt(4))
    with pytest.raises(PreparationError) as caught:
        make(source, tmp_path / "data", max_left_out=0.05)
    assert str(caught.value) == (
        "4 of 100 images cannot be used:\n"
        "        2  empty file    cat/0.jpg, cat/3.jpg\n"
        "        1  not an image  cat/1.jpg (none of JPEG, PNG, GIF, BMP, WEBP, TIFF)\n"
        "        1  too small     cat/2.jpg (2×2 pixels; the least is 8 a side)\n"
        "They are 4 of the 50 of class cat; a share of 0.05 of a class may be left out. Nothing "
        "was written. Mend or remove them, or leave them out with --max-left-out 0.08"
    )
    assert not (tmp_path / "data").exists()


def test_colour_spaces_are_recorded(tmp_path):
    files = class_folders({"cat": 3, "dog": 3})
    files |= {
        "cat/grey.jpg": image_file(7, "L"),
        "dog/grey.png": image_file(8, "L", "PNG"),
        "dog/colour.png": image_file(9, "RGB", "PNG"),
    }
    output = make(write_folder(tmp_path / "mine", files), tmp_path / "data")
    for record in read_split(output, "train") + read_split(output, "val"):
        grey = b"grey" in record["image/filename"]
        assert record["image/colorspace"] == (b"Grayscale" if grey else b"RGB")
        assert record["image/channels"] == (1 if grey else 3)


def test_larger_images_where_they_are_allowed(tmp_path):
    files = class_folders({"cat": 3, "dog": 3}) | {"dog/large.png": huge_png(6_000)}
    source = write_folder(tmp_path / "mine", files)
    with pytest.raises(PreparationError) as caught:
        make(source, tmp_path / "data")
    assert (
        "1  too large  dog/large.png (6000×6000 is 36,000,000 pixels; the most is 33,554,432 "
        "(--max-pixels))"
    ) in str(caught.value)
    with pytest.raises(PreparationError, match="does not decode"):  # so it got beyond its size
        make(source, tmp_path / "data", max_pixels=36_000_000)
