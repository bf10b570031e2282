import bz2
import gzip
import io
import lzma
import struct
import zipfile
import zlib
from pathlib import Path

import pytest
from images import write_zip

from dataprep.archive import Archive, BadZipError, read_directory
from dataprep.entry import Entry
from dataprep.errors import UsageError
from dataprep.jpeg import UnusableError

FILES = {"a/1.JPEG": b"one" * 1000, "a/empty": b"", "b.txt": b"text"}


def entries(archive: Archive) -> dict[str, Entry]:
    """The files, by their paths."""
    return {entry.path: entry for entry in archive.entries() if not entry.is_folder}


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


@pytest.mark.parametrize(
    ("beginning", "kind"),
    [
        (gzip.compress(b"text"), "gzip (.tar.gz, .tgz)"),
        (bz2.compress(b"text"), "bzip2 (.tar.bz2)"),
        (lzma.compress(b"text"), "xz (.tar.xz)"),
        (b"7z\xbc\xaf\x27\x1c", "7-Zip (.7z)"),
        (b"Rar!\x1a\x07\x01\0", "RAR (.rar)"),
        (b"a/1.JPEG".ljust(257, b"\0") + b"ustar\x0000", "tar (.tar)"),
    ],
    ids=["gzip", "bzip2", "xz", "7z", "rar", "tar"],
)
def test_archive_of_another_kind(tmp_path, beginning, kind):
    (tmp_path / "a.zip").write_bytes(beginning + bytes(1000))
    with pytest.raises(UsageError) as caught:
        entries(Archive(str(tmp_path / "a.zip")))
    assert str(caught.value) == (
        f"{tmp_path}/a.zip is not a zip archive but {kind}. Unpack it and give the folder as "
        "--source, or make a zip archive of that"
    )


def with_raw_name(path: Path, name: bytes, extra: bytes = b"") -> Archive:
    """An archive of one file whose name is written so, without the flag for UTF-8."""
    stand_in = "x" * len(name)
    with zipfile.ZipFile(path, "w") as archive:
        info = zipfile.ZipInfo(stand_in)
        info.extra = extra
        archive.writestr(info, b"")
    path.write_bytes(path.read_bytes().replace(stand_in.encode(), name))
    return Archive(str(path))


@pytest.mark.parametrize(
    ("raw", "name", "guessed"),
    [
        ("Kätzchen.jpg".encode(), "Kätzchen.jpg", False),  # as Finder and Info-ZIP write it
        ("日本.jpg".encode(), "日本.jpg", False),
        ("Kätzchen.jpg".encode("cp437"), "Kätzchen.jpg", True),  # as Windows writes it
        ("Kätzchen.jpg".encode("latin-1"), "KΣtzchen.jpg", True),  # nothing tells that it is this
    ],
)
def test_names_without_the_flag_for_utf8(tmp_path, raw, name, guessed):
    archive = with_raw_name(tmp_path / "a.zip", raw)
    assert set(entries(archive)) == {name}
    remarks = archive.remarks()
    assert len(remarks) == guessed
    for remark in remarks:
        assert remark.startswith(f"1 names in {tmp_path}/a.zip are not UTF-8, ")
        assert f"read as code page 437: {name}. " in remark


def name_field(version: int, crc: int) -> bytes:
    """Info-ZIP's extra field with a name in UTF-8."""
    content = struct.pack("<BL", version, crc) + "Kätzchen".encode()
    return struct.pack("<HH", 0x7075, len(content)) + content


def test_name_in_an_extra_field(tmp_path):
    raw = "K\x84tz".encode("latin-1")
    field = name_field(1, zlib.crc32(raw))
    archive = with_raw_name(tmp_path / "a.zip", raw, field)
    assert set(entries(archive)) == {"Kätzchen"}
    assert archive.remarks() == []


@pytest.mark.parametrize(("version", "crc"), [(1, 0), (2, None)])
def test_extra_field_of_another_name_or_version(tmp_path, version, crc):
    raw = "K\x84tz".encode("latin-1")
    field = name_field(version, zlib.crc32(raw) if crc is None else crc)
    assert set(entries(with_raw_name(tmp_path / "a.zip", raw, field))) == {"Kätz"}


MEMBERS = {"a/": b"", "a/b.txt": b"text" * 9, "a/Kätzchen.JPEG": b"\xff\xd8", "empty": b""}


def listed(data: bytes) -> list[tuple]:
    entries = (entry for entry, _ in read_directory(io.BytesIO(data)))
    return [(e.path, e.size, e.crc, e.offset, e.packed, e.method) for e in entries]


def listed_by_zipfile(data: bytes) -> list[tuple]:
    return [
        (i.filename, i.file_size, i.CRC, i.header_offset, i.compress_size, i.compress_type)
        for i in zipfile.ZipFile(io.BytesIO(data)).infolist()
    ]


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_lists_what_pythons_zipfile_lists(tmp_path, method):
    data = write_zip(tmp_path / "a.zip", MEMBERS, method).read_bytes()
    assert listed(data) == listed_by_zipfile(data)
    assert len(listed(data)) == 4


def test_sizes_and_offsets_of_64_bits(tmp_path, monkeypatch):
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 5)
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 2)
    data = write_zip(tmp_path / "a.zip", MEMBERS).read_bytes()
    assert b"PK\6\6" in data  # it did need them
    assert listed(data) == listed_by_zipfile(data)


def test_comments_and_bytes_before_the_archive(tmp_path):
    path = write_zip(tmp_path / "a.zip", MEMBERS)
    with zipfile.ZipFile(path, "a") as archive:
        archive.comment = b"PK is how it begins"
        archive.getinfo("empty").comment = b"nothing"
    data = b"#!/bin/sh\n" + path.read_bytes()
    assert listed(data) == listed_by_zipfile(data)


def test_empty_archive(tmp_path):
    assert listed(write_zip(tmp_path / "a.zip", {}).read_bytes()) == []


@pytest.mark.parametrize("kept", [0, 10, 100, -1])
def test_archive_cut_short(tmp_path, kept):
    data = write_zip(tmp_path / "a.zip", MEMBERS).read_bytes()[:kept]
    with pytest.raises(BadZipError, match="no directory at its end"):
        listed(data)


def test_archive_without_its_beginning(tmp_path):
    data = write_zip(tmp_path / "a.zip", MEMBERS).read_bytes()[150:]
    with pytest.raises(BadZipError, match="beginning is missing"):
        listed(data)


def test_damaged_directory(tmp_path):
    data = write_zip(tmp_path / "a.zip", MEMBERS).read_bytes()
    with pytest.raises(BadZipError, match="directory is damaged"):
        listed(data.replace(b"PK\1\2", b"PKxx", 1))


def test_bytes_without_a_directory():
    with pytest.raises(BadZipError, match="no directory at its end"):
        listed(b"hello" * 1000)
