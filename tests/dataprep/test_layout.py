import pytest
from images import write_folder, write_zip

from dataprep.errors import UsageError
from dataprep.layout import Files, is_image
from dataprep.source import open_source


def files(tmp_path, *paths: str) -> Files:
    return Files(open_source(str(write_zip(tmp_path / "a.zip", dict.fromkeys(paths, b"")))))


@pytest.mark.parametrize(
    ("paths", "inside"),
    [
        (["a/b/cat/1.jpg", "a/b/dog/2.jpg"], ["cat/1.jpg", "dog/2.jpg"]),
        (["cat/1.jpg", "dog/2.jpg"], ["cat/1.jpg", "dog/2.jpg"]),
        (["cat/1.jpg", "cat/2.jpg"], ["cat/1.jpg", "cat/2.jpg"]),
        (["a/train/cat/1.jpg", "a/train/dog/1.jpg"], ["train/cat/1.jpg", "train/dog/1.jpg"]),
        (["a/cat/1.jpg", "a/2.jpg"], ["cat/1.jpg", "2.jpg"]),
        (["a/cat/1.jpg", "2.jpg"], ["a/cat/1.jpg", "2.jpg"]),
        (["1.jpg"], ["1.jpg"]),
        ([], []),
    ],
)
def test_paths_begin_inside_the_folder_that_holds_everything(tmp_path, paths, inside):
    assert [path for path, _ in files(tmp_path, *paths)] == inside


def test_a_folder_is_taken_like_an_archive(tmp_path):
    root = write_folder(tmp_path / "a", {"b/cat/1.jpg": b"", "b/dog/1.jpg": b""})
    assert sorted(path for path, _ in Files(open_source(str(root)))) == ["cat/1.jpg", "dog/1.jpg"]


def test_tops(tmp_path):
    assert files(tmp_path, "b/c/1", "a.txt", "b/2").tops() == ["a.txt", "b"]


def test_text(tmp_path):
    archive = {"a/words.txt": "ä".encode(), "a/b/bytes.txt": b"\xff", "a/b/bom": b"\xef\xbb\xbfx"}
    inside = Files(open_source(str(write_zip(tmp_path / "a.zip", archive))))
    assert inside.text("words.txt") == "ä"
    assert inside.text("b/bom") == "x"
    assert inside.text("other.txt") is None
    with pytest.raises(UsageError, match=r"a/b/bytes\.txt is not UTF-8 text"):
        inside.text("b/bytes.txt")


@pytest.mark.parametrize("name", ["a.JPEG", "a.jpg", "b/ä.PnG", "x.tar.gif"])
def test_images_by_name(name):
    assert is_image(name)


@pytest.mark.parametrize("name", ["a.txt", "jpg", "a.jpg.part", ".jpg"])
def test_no_images_by_name(name):
    assert not is_image(name)
