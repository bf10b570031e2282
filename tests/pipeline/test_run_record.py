import errno
import os
import sqlite3

import pytest

from pipeline.run_record import (
    RecordError,
    check_record,
    check_writable,
    has_record,
    set_aside_artifacts,
)


@pytest.fixture
def output(tmp_path):
    """A folder as an earlier run left it."""
    with sqlite3.connect(tmp_path / "metadata.db") as connection:
        connection.execute("CREATE TABLE Artifact (uri TEXT)")
        connection.executemany("INSERT INTO Artifact VALUES (?)", [("x" * 500,)] * 1000)
    connection.close()
    (tmp_path / "artifacts" / "Trainer").mkdir(parents=True)
    return tmp_path


def test_good_record_is_left_alone(output):
    content = (output / "metadata.db").read_bytes()
    assert has_record(output)
    check_record(output)
    assert set_aside_artifacts(output) is None
    assert (output / "metadata.db").read_bytes() == content
    assert (output / "artifacts" / "Trainer").is_dir()


def test_new_folder_has_none(tmp_path):
    assert not has_record(tmp_path)
    check_record(tmp_path)
    assert set_aside_artifacts(tmp_path) is None


def test_folder_that_takes_a_change_is_left_as_it_was(output):
    before = sorted(output.rglob("*"))
    check_writable(output)
    assert sorted(output.rglob("*")) == before


def test_folder_that_takes_none_is_named_with_the_reason(output, monkeypatch):
    monkeypatch.setattr("pipeline.run_record.tempfile.TemporaryFile", full_disk)
    with pytest.raises(RecordError, match=r"cannot be written: No space .* the same command goes"):
        check_writable(output)


def full_disk(**_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("how", ["cut", "noise", "text"])
def test_damaged_record_is_named_with_the_way_out(output, how):
    file = output / "metadata.db"
    content = file.read_bytes()
    half = len(content) // 2
    file.write_bytes(
        {
            "cut": content[:half],
            "noise": content[:4096] + bytes(range(256)) * 16 + content[8192:],
            "text": b"<html>not found</html>",
        }[how]
    )
    with pytest.raises(RecordError, match=r"metadata\.db: the record .* Move it away"):
        check_record(output)


@pytest.mark.parametrize("empty", [True, False])
def test_artifacts_without_a_record_are_set_aside(output, empty):
    if empty:
        (output / "metadata.db").write_bytes(b"")
    else:
        (output / "metadata.db").unlink()
    aside = set_aside_artifacts(output)
    assert aside.parent == output
    assert (aside / "Trainer").is_dir()
    assert not (output / "artifacts").exists()
