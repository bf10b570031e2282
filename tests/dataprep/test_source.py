import os
import zlib
from pathlib import Path

import pytest
from images import write_folder, write_zip

from dataprep.errors import UsageError
from dataprep.jpeg import UnusableError
from dataprep.source import Files, Folder, open_source

FILES = {"a/1.jpg": b"one", "a/deep/2.jpg": b"two", "ü b.txt": b"text"}


@pytest.fixture
def root(tmp_path) -> Path:
    return write_folder(tmp_path / "source", FILES)


def paths(root: Path) -> set[str]:
    """Of the files."""
    return {entry.path for entry in Folder(str(root)).entries() if not entry.is_folder}


def test_lists_and_reads_files(root):
    folder = Folder(str(root))
    entries = {e.path: folder.with_checksum(e) for e in folder.entries() if not e.is_folder}
    assert {path: folder.read(entry) for path, entry in entries.items()} == FILES
    assert entries["a/1.jpg"].crc == zlib.crc32(b"one")


def test_junk_is_not_listed(root):
    write_folder(root, {"a/.DS_Store": b"", "a/Thumbs.db": b"", "__MACOSX/a/1.jpg": b""})
    assert paths(root) == set(FILES)


def test_links_are_followed(root, tmp_path):
    write_folder(tmp_path / "elsewhere", {"3.jpg": b"three"})
    (root / "b").symlink_to(tmp_path / "elsewhere")
    (root / "twin").symlink_to(root / "a")
    assert paths(root) == {*FILES, "b/3.jpg", "twin/1.jpg", "twin/deep/2.jpg"}


def test_link_to_a_folder_above(root):
    (root / "a" / "loop").symlink_to(root)
    with pytest.raises(UsageError, match=r"a/loop is a link to a folder that it lies in"):
        paths(root)


def test_link_to_itself_and_to_nothing(root):
    (root / "a" / "loop").symlink_to("loop")
    with pytest.raises(UsageError, match=r"a/loop cannot be read: Too many levels"):
        paths(root)
    (root / "a" / "loop").unlink()
    (root / "a" / "gone").symlink_to("nowhere")
    with pytest.raises(UsageError, match=r"a/gone cannot be read: No such file"):
        paths(root)


def test_neither_file_nor_folder(root):
    os.mkfifo(root / "pipe")
    with pytest.raises(UsageError, match="pipe is neither a file nor a folder"):
        paths(root)


def test_name_that_is_not_utf8(root):
    Path(os.fsdecode(os.fsencode(root) + b"/\xff.jpg")).touch()
    with pytest.raises(UsageError, match=r"name is not UTF-8: '\\udcff.jpg'"):
        paths(root)


def test_file_that_changed_or_went(root):
    folder = Folder(str(root))
    entries = {e.path: folder.with_checksum(e) for e in folder.entries() if not e.is_folder}
    (root / "a/1.jpg").write_bytes(b"One")
    with pytest.raises(UnusableError, match="checksum"):
        folder.read(entries["a/1.jpg"])
    (root / "a/1.jpg").unlink()
    with pytest.raises(UsageError, match=r"a/1\.jpg cannot be read"):
        folder.with_checksum(entries["a/1.jpg"])


def files(tmp_path, *paths: str) -> Files:
    return Files(open_source(str(write_zip(tmp_path / "a.zip", dict.fromkeys(paths, b"")))))


@pytest.mark.parametrize(
    ("paths", "inside"),
    [
        (["a/b/cat/1.jpg", "a/b/dog/2.jpg"], ["cat/1.jpg", "dog/2.jpg"]),
        (["cat/1.jpg", "dog/2.jpg"], ["cat/1.jpg", "dog/2.jpg"]),
        (["cat/1.jpg", "cat/2.jpg"], ["cat/1.jpg", "cat/2.jpg"]),
        (["a/train/cat/1.jpg", "a/train/dog/1.jpg"], ["train/cat/1.jpg", "train/dog/1.jpg"]),
        (["a/Training/cat/1", "a/Training/dog/1"], ["Training/cat/1", "Training/dog/1"]),
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


def test_folders(tmp_path):
    paths = ["a/cat/deep/1.jpg", "a/dog/2.jpg", "a/empty/", "a/", "a/readme.txt", "a/x/y/z/"]
    found = files(tmp_path, *paths)
    assert found.folders(1) == {("cat",), ("dog",), ("empty",), ("x",)}
    assert found.folders(2) == found.folders(1) | {("cat", "deep"), ("x", "y")}


def test_empty_folders_of_a_folder(root):
    (root / "a" / "empty").mkdir()
    (root / "a" / ".hidden").mkdir()
    assert Files(open_source(str(root))).folders(2) == {("a",), ("a", "deep"), ("a", "empty")}


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
