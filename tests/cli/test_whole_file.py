import os
from pathlib import Path

import pytest

from cli.whole_file import write_whole


def test_replaces_what_was_there(tmp_path):
    (tmp_path / "a.json").write_text("old")
    write_whole(tmp_path / "a.json", "Kätzchen\n")
    assert (tmp_path / "a.json").read_bytes() == "Kätzchen\n".encode()
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_bytes_are_written_as_they_are(tmp_path):
    write_whole(tmp_path / "a", b"\xff\r\n")
    assert (tmp_path / "a").read_bytes() == b"\xff\r\n"


def test_file_and_its_name_are_on_the_disk_before_it_returns(tmp_path, monkeypatch):
    synced = []

    def fsync(descriptor: int) -> None:
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink())

    monkeypatch.setattr(os, "fsync", fsync)
    write_whole(tmp_path / "a", b"1")
    temporary, folder = synced
    assert temporary.name == "a"
    assert temporary != tmp_path / "a"
    assert folder == tmp_path


def test_link_stays_one(tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "there" / "file")
    write_whole(tmp_path / "link", "text")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "there" / "file").read_text() == "text"


def test_failure_leaves_what_was_there(tmp_path, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(28, os.strerror(28))

    (tmp_path / "a.json").write_text("old")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_whole(tmp_path / "a.json", "new")
    assert (tmp_path / "a.json").read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]
