import gzip
import pickle

import pytest
from foreign import example, examples, image, write

from dataprep.errors import PreparationError, UsageError
from dataprep.jpeg import UnusableError
from dataprep.tfrecords.files import RecordImages, find_files
from dataset.example import parse


def names(found):
    return [file.name for file in found.files]


def test_files_are_found_by_what_is_in_them(tmp_path):
    write(tmp_path / "a" / "train.tfrecord", examples(1))
    write(tmp_path / "b" / "nameless", examples(1))
    write(tmp_path / "packed.gz", examples(1), packed=True)
    write(tmp_path / "none-00000-of-00001", [])
    write(tmp_path / ".hidden.tfrecord", examples(1))
    (tmp_path / "notes.gz").write_bytes(gzip.compress(b"no record, though it is long enough"))
    (tmp_path / "labels.txt").write_text("cat\n")
    found = find_files(str(tmp_path))
    assert names(found) == ["a/train.tfrecord", "b/nameless", "none-00000-of-00001", "packed.gz"]
    assert [file.compressed for file in found.files] == [False, False, False, True]
    assert found.ignored == ("labels.txt", "notes.gz")


def test_a_record_may_begin_as_a_gzip_file_does(tmp_path):
    """By its length, 1F 8B 00 … in the file."""
    found = find_files(str(write(tmp_path / "a.tfrecord", [b"x" * 0x8B1F])))
    assert [file.compressed for file in found.files] == [False]


def test_patterns_files_and_links(tmp_path):
    one = write(tmp_path / "x [1]" / "one.tfrecord", examples(1))
    write(tmp_path / "x [1]" / "two.tfrecord", examples(1))
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "data").symlink_to(tmp_path / "x [1]")
    assert names(find_files(f"{tmp_path}/x*/t*.tfrecord")) == ["two.tfrecord"]
    assert names(find_files(f"{tmp_path}/**/*.tfrecord")) == [
        "linked/data/one.tfrecord",
        "linked/data/two.tfrecord",
        "x [1]/one.tfrecord",
        "x [1]/two.tfrecord",
    ]
    assert names(find_files(f"{tmp_path}/x [[]1]/one.tfrecord")) == ["one.tfrecord"]
    assert names(find_files(str(one.parent))) == ["one.tfrecord", "two.tfrecord"]
    assert names(find_files(str(tmp_path / "linked"))) == ["data/one.tfrecord", "data/two.tfrecord"]


def test_files_in_the_current_folder(tmp_path, monkeypatch):
    write(tmp_path / "a.tfrecord", examples(3))
    monkeypatch.chdir(tmp_path)
    for source in ("a.tfrecord", "./a.tfrecord", "*.tfrecord"):
        assert len(read(find_files(source))) == 3


@pytest.mark.parametrize("name", ["a [1].tfrecord", "what?.tfrecord", ".hidden.tfrecord"])
def test_a_file_is_no_pattern(tmp_path, name):
    file = write(tmp_path / "my [set]" / name, examples(1))
    write(tmp_path / "my [set]" / "whats.tfrecord", examples(1))
    assert names(find_files(str(file))) == [name]


def test_nothing_there(tmp_path):
    with pytest.raises(UsageError, match="no such file or folder"):
        find_files(str(tmp_path / "nowhere"))
    (tmp_path / "cat.jpg").write_bytes(image(0))
    with pytest.raises(UsageError, match=r"no TFRecord files there, but cat\.jpg"):
        find_files(str(tmp_path))


@pytest.mark.parametrize(
    "content", [b"no record, though it is long enough", b"cut", b"\x1f\x8bcut"]
)
def test_what_is_called_like_a_tfrecord_file_must_be_one(tmp_path, content):
    (tmp_path / "a.tfrecord").write_bytes(content)
    with pytest.raises(PreparationError, match=r"a\.tfrecord is called like a TFRecord file, but"):
        find_files(str(tmp_path))


def read(found):
    """Entry and image of every record."""
    return [
        (place.entry(parse(record)["image"].bytes_list.value[0]), place)
        for file in found.files
        for place, record, _ in found.records(file)
    ]


@pytest.mark.parametrize("packed", [False, True])
def test_images_at_random_access_in_a_worker(tmp_path, packed):
    write(tmp_path / "in" / "a.tfrecord", examples(5), packed=packed)
    write(tmp_path / "in" / "b.tfrecord", examples(3, first=5))
    found = find_files(str(tmp_path / "in"))
    images = pickle.loads(pickle.dumps(RecordImages(found, "image")))
    images.prepare(str(tmp_path / "plan"))
    source = images.open(str(tmp_path / "plan"))
    entries = read(found)
    for seed in (7, 0, 4, 5):
        assert source.read(entries[seed][0]) == image(seed)
    assert [str(place) for _, place in entries[3:6]] == [
        "a.tfrecord#3",
        "a.tfrecord#4",
        "b.tfrecord#0",
    ]


@pytest.mark.parametrize("change", [examples(3, first=9), [b"\xff"], [example(other=1)]])
def test_records_that_change_meanwhile_are_unusable(tmp_path, change):
    path = write(tmp_path / "a.tfrecord", examples(3))
    found = find_files(str(path))
    [(entry, _), *_] = read(found)
    write(path, change)
    with pytest.raises(UnusableError, match="damaged in the source"):
        RecordImages(found, "image").open("").read(entry)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("damage", ["cut short", "altered"])
def test_a_damaged_file_ends_the_reading(tmp_path, packed, damage):
    path = write(tmp_path / "a.tfrecord", examples(9), packed=packed)
    content = bytearray(path.read_bytes())
    if damage == "cut short":
        del content[-20:]
    else:
        content[len(content) // 2] ^= 1
    path.write_bytes(content)
    found = find_files(str(path))
    with pytest.raises(PreparationError, match=r"a\.tfrecord: .*Copy or write it again"):
        list(found.records(found.files[0]))
