import zipfile
import zlib

import pytest
from images import write_zip

from dataprep.archive import Archive
from dataprep.entry import Entry
from dataprep.errors import UsageError
from dataprep.jpeg import UnusableError

FILES = {"a/1.JPEG": b"one" * 1000, "a/empty": b"", "b.txt": b"text"}


def entries(archive: Archive) -> dict[str, Entry]:
    return {entry.path: entry for entry in archive.entries()}


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_reads_members_in_any_order(tmp_path, method):
    archive = Archive(str(write_zip(tmp_path / "a.zip", FILES, method)))
    found = entries(archive)
    assert {path: archive.read(found[path]) for path in reversed(FILES)} == FILES
    assert found["b.txt"].crc == zlib.crc32(b"text")


def test_junk_is_not_listed(tmp_path):
    junk = ["__MACOSX/a/._1.JPEG", "a/.DS_Store", "a/Thumbs.db", ".git/config", "desktop.ini"]
    archive = Archive(str(write_zip(tmp_path / "a.zip", {**FILES, **dict.fromkeys(junk, b"")})))
    assert set(entries(archive)) == set(FILES)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("place", [0, 45])
def test_damaged_member(tmp_path, method, place):
    path = write_zip(tmp_path / "a.zip", FILES, method)
    data = bytearray(path.read_bytes())
    data[place] ^= 0xFF  # in the header, or in the bytes
    path.write_bytes(data)
    archive = Archive(str(path))
    with pytest.raises(UnusableError, match="damaged in the source"):
        archive.read(entries(archive)["a/1.JPEG"])


def test_member_that_is_larger_than_it_says(tmp_path):
    path = write_zip(tmp_path / "a.zip", {"bomb.png": bytes(10_000_000)})
    [entry] = Archive(str(path)).entries()
    lying = Entry(entry.path, 100, entry.crc, entry.offset, entry.packed, entry.method)
    with pytest.raises(UnusableError, match="damaged in the source"):
        Archive(str(path)).read(lying)


@pytest.mark.parametrize("name", ["../evil.JPEG", "train/../../evil.JPEG", "/etc/evil.JPEG"])
def test_member_that_points_out_of_the_archive(tmp_path, name):
    archive = Archive(str(write_zip(tmp_path / "a.zip", {**FILES, name: b"x"})))
    with pytest.raises(UsageError, match=rf"a\.zip: its member '{name}' points out of"):
        entries(archive)


def test_rare_compression(tmp_path):
    archive = Archive(str(write_zip(tmp_path / "a.zip", FILES, zipfile.ZIP_LZMA)))
    with pytest.raises(UsageError, match="Unpack the archive"):
        entries(archive)


def test_not_a_zip(tmp_path):
    (tmp_path / "a.zip").write_bytes(b"hello" * 100)
    with pytest.raises(UsageError, match=r"a\.zip is no whole zip archive: .*get it again"):
        entries(Archive(str(tmp_path / "a.zip")))
