"""`python -m serving.batch`, as far as it needs no model."""

import subprocess
import sys

import pytest
from commands import ROOT

from serving import batch


@pytest.fixture
def run(monkeypatch, capsys):
    """Function: arguments → exit code, what it wrote to stderr."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["batch", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            batch.main()
        return stop.value.code, capsys.readouterr().err

    return run


def test_source_that_is_not_there(run, tmp_path):
    code, error = run("--source", tmp_path / "no", "--model", tmp_path, "--output", "o.jsonl")
    assert (code, error) == (2, f"error: --source {tmp_path / 'no'}: no such folder\n")


def test_model_that_is_none(run, tmp_path):
    code, error = run("--source", tmp_path, "--model", tmp_path, "--output", "o.jsonl")
    assert code == 2
    assert "no pushed version, which has a saved_model.pb in it" in error


def test_folder_of_versions(run, tmp_path):
    (tmp_path / "fishnet" / "7").mkdir(parents=True)
    (tmp_path / "fishnet" / "7" / "saved_model.pb").touch()
    code, error = run("--source", tmp_path, "--model", tmp_path / "fishnet", "--output", "o")
    assert code == 2
    assert f"give one of them, e.g. {tmp_path / 'fishnet' / '7'}" in error


def test_batch_size_of_nothing(run, tmp_path):
    flags = ("--source", tmp_path, "--model", tmp_path, "--output", "o", "--batch-size", "0")
    assert run(*flags) == (2, "error: --batch-size must be positive. Received: 0\n")


def test_help_imports_nothing_slow():
    code = "import sys; from serving import batch; print('tensorflow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "False\n"
