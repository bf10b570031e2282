import io
import zipfile

import pytest
from images import write_zip

from dataprep.zip_directory import BadZipError, read_directory

FILES = {"a/": b"", "a/b.txt": b"text" * 9, "a/Kätzchen.JPEG": b"\xff\xd8", "empty": b""}


def listed(data: bytes) -> list[tuple]:
    entries = read_directory(io.BytesIO(data))
    return [(e.path, e.size, e.crc, e.offset, e.packed, e.method) for e in entries]


def listed_by_zipfile(data: bytes) -> list[tuple]:
    return [
        (i.filename, i.file_size, i.CRC, i.header_offset, i.compress_size, i.compress_type)
        for i in zipfile.ZipFile(io.BytesIO(data)).infolist()
        if not i.is_dir()
    ]


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_lists_what_pythons_zipfile_lists(tmp_path, method):
    data = write_zip(tmp_path / "a.zip", FILES, method).read_bytes()
    assert listed(data) == listed_by_zipfile(data)
    assert len(listed(data)) == 3


def test_sizes_and_offsets_of_64_bits(tmp_path, monkeypatch):
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 5)
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 2)
    data = write_zip(tmp_path / "a.zip", FILES).read_bytes()
    assert b"PK\6\6" in data  # it did need them
    assert listed(data) == listed_by_zipfile(data)


def test_comments_and_bytes_before_the_archive(tmp_path):
    path = write_zip(tmp_path / "a.zip", FILES)
    with zipfile.ZipFile(path, "a") as archive:
        archive.comment = b"PK is how it begins"
        archive.getinfo("empty").comment = b"nothing"
    data = b"#!/bin/sh\n" + path.read_bytes()
    assert listed(data) == listed_by_zipfile(data)


def test_empty_archive(tmp_path):
    assert listed(write_zip(tmp_path / "a.zip", {}).read_bytes()) == []


@pytest.mark.parametrize("kept", [0, 10, 100, -1])
def test_archive_cut_short(tmp_path, kept):
    data = write_zip(tmp_path / "a.zip", FILES).read_bytes()[:kept]
    with pytest.raises(BadZipError, match="no directory at its end"):
        listed(data)


def test_archive_without_its_beginning(tmp_path):
    data = write_zip(tmp_path / "a.zip", FILES).read_bytes()[150:]
    with pytest.raises(BadZipError, match="beginning is missing"):
        listed(data)


def test_damaged_directory(tmp_path):
    data = write_zip(tmp_path / "a.zip", FILES).read_bytes()
    with pytest.raises(BadZipError, match="directory is damaged"):
        listed(data.replace(b"PK\1\2", b"PKxx", 1))


def test_not_a_zip():
    with pytest.raises(BadZipError, match="no directory at its end"):
        listed(b"hello" * 1000)
