import os

import pytest

from cli.whole_file import write_whole


def test_replaces_what_was_there(tmp_path):
    (tmp_path / "a.json").write_text("old")
    write_whole(tmp_path / "a.json", "Kätzchen\n")
    assert (tmp_path / "a.json").read_bytes() == "Kätzchen\n".encode()
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


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
    monkeypatch.setattr("pathlib.Path.write_text", full)
    with pytest.raises(OSError, match="No space"):
        write_whole(tmp_path / "a.json", "new")
    assert (tmp_path / "a.json").read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]
