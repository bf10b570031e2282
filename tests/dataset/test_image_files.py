"""Which files are images; that links are followed and cycles reported, test_source.py shows too."""

import pytest
from images import write_folder

from dataset.image_files import FolderError, is_image, is_junk, walk


@pytest.mark.parametrize("name", ["a.JPEG", "a.jpg", "b/ä.PnG", "x.tar.gif"])
def test_images_by_name(name):
    assert is_image(name)


@pytest.mark.parametrize("name", ["a.txt", "jpg", "a.jpg.part", ".jpg"])
def test_no_images_by_name(name):
    assert not is_image(name)


@pytest.mark.parametrize(
    "path", ["._x.jpg", "cat/.ipynb_checkpoints/1.jpg", "__MACOSX/cat/1.jpg", "cat/Thumbs.db"]
)
def test_junk(path):
    assert is_junk(path)
    assert not is_junk(path.replace(".", "", 1).replace("__MACOSX", "mac").replace("Thumbs", "a"))


def test_walk_yields_files_and_folders_but_junk(tmp_path):
    files = {"a/1.jpg": b"one", "a/b/2.txt": b"2", "a/._1.jpg": b"", ".ipynb_checkpoints/a": b""}
    root = write_folder(tmp_path / ".hidden" / "source", files)
    (root / "empty").mkdir()
    (root / "linked").symlink_to(root / "a" / "b")
    assert sorted(walk(root)) == [
        ("a/", 0),
        ("a/1.jpg", 3),
        ("a/b/", 0),
        ("a/b/2.txt", 1),
        ("empty/", 0),
        ("linked/", 0),
        ("linked/2.txt", 1),
    ]


def test_folder_without_an_end(tmp_path):
    root = write_folder(tmp_path / "source", {"a/1.jpg": b"one"})
    (root / "a" / "loop").symlink_to(root)
    with pytest.raises(FolderError, match=r"a/loop is a link to a folder that it lies in"):
        list(walk(root))
