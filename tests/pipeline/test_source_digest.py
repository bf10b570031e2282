import shutil
from pathlib import Path

import pytest

from pipeline import source_digest as module
from pipeline.source_digest import source_digest

PATHS = ("components/transform/preprocessing.py", "components/train")


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A copy of the components' source, to be changed."""
    shutil.copytree(Path(module.ROOT) / "components", tmp_path / "components")
    monkeypatch.setattr(module, "ROOT", tmp_path)
    return tmp_path


def append(path: Path, text: str) -> None:
    path.write_text(path.read_text() + text)


def test_is_the_same_wherever_the_source_lies(root, monkeypatch):
    there = source_digest(*PATHS)
    monkeypatch.undo()
    assert source_digest(*PATHS) == there


@pytest.mark.parametrize(
    "path", ["components/transform/preprocessing.py", "components/train/schedule.py"]
)
def test_changes_with_the_source(root, path):
    before = source_digest(*PATHS)
    append(root / path, "\n")
    assert source_digest(*PATHS) != before


def test_changes_with_a_new_and_with_a_renamed_module(root):
    digests = {source_digest(*PATHS)}
    (root / "components" / "train" / "new.py").touch()
    digests.add(source_digest(*PATHS))
    (root / "components" / "train" / "new.py").rename(root / "components" / "train" / "a.py")
    digests.add(source_digest(*PATHS))
    assert len(digests) == 3


def test_does_not_change_with_other_files(root):
    before = source_digest(*PATHS)
    append(root / "components" / "push" / "pusher.py", "\n")
    (root / "components" / "train" / "notes.txt").write_text("notes")
    (root / "components" / "train" / "__pycache__").mkdir(exist_ok=True)
    (root / "components" / "train" / "__pycache__" / "run.cpython-310.pyc").write_bytes(b"0")
    assert source_digest(*PATHS) == before


def test_source_that_is_not_there_is_an_error(root):
    with pytest.raises(FileNotFoundError, match=r"transfrom\.py"):
        source_digest("components/transfrom.py")
