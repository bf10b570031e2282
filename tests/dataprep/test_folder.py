import os
import zlib
from pathlib import Path

import pytest
from images import write_folder

from dataprep.errors import UsageError
from dataprep.folder import Folder
from dataprep.jpeg import UnusableError

FILES = {"a/1.jpg": b"one", "a/deep/2.jpg": b"two", "ü b.txt": b"text"}


@pytest.fixture
def root(tmp_path) -> Path:
    return write_folder(tmp_path / "source", FILES)


def paths(root: Path) -> set[str]:
    return {entry.path for entry in Folder(str(root)).entries()}


def test_lists_and_reads_files(root):
    folder = Folder(str(root))
    entries = {e.path: folder.with_checksum(e) for e in folder.entries()}
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
    entries = {e.path: folder.with_checksum(e) for e in folder.entries()}
    (root / "a/1.jpg").write_bytes(b"One")
    with pytest.raises(UnusableError, match="checksum"):
        folder.read(entries["a/1.jpg"])
    (root / "a/1.jpg").unlink()
    with pytest.raises(UsageError, match=r"a/1\.jpg cannot be read"):
        folder.with_checksum(entries["a/1.jpg"])
