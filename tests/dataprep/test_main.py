import subprocess
import sys

import pytest

from dataprep.__main__ import main

# Runs the command line, then tells which of the slow packages it imported.
IMPORTED = """
import sys
from dataprep.__main__ import main
try:
    main()
finally:
    print(sorted({"numpy", "sklearn", "tensorflow"} & set(sys.modules)))
"""


def run(monkeypatch, *arguments: str) -> int:
    """Runs the command line in this process and returns its exit code."""
    monkeypatch.setattr(sys, "argv", ["dataprep", *arguments])
    try:
        main()
    except SystemExit as stop:
        return stop.code
    return 0


def test_writes_digits_and_tells_the_next_command(tmp_path, monkeypatch, capsys):
    output = tmp_path / "my dätä"
    assert run(monkeypatch, "digits", "--output", str(output)) == 0
    assert capsys.readouterr().out == (
        f"{output}: written\n"
        "  train: 1,437 records in 4 shards\n"
        "  val: 360 records in 2 shards\n"
        f"Next: python local_runner.py --data '{output}'\n"
    )
    assert run(monkeypatch, "digits", "--output", str(output)) == 0
    assert f"{output}: holds this data set already" in capsys.readouterr().out


def test_folder_in_use_is_wrong_usage(tmp_path, monkeypatch, capsys):
    (tmp_path / "notes.txt").write_text("mine")
    assert run(monkeypatch, "digits", "--output", str(tmp_path)) == 2
    assert capsys.readouterr().err.startswith(f"error: {tmp_path} is not empty")


def test_output_that_cannot_be_written_is_one_line(tmp_path, monkeypatch, capsys):
    (tmp_path / "file").touch()
    assert run(monkeypatch, "digits", "--output", str(tmp_path / "file" / "digits")) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: the data set was not written: ")
    assert str(tmp_path / "file") in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [[], ["digitz"], ["digits"], ["digits", "--output", "d", "--train-shards", "0"]],
    ids=["no command", "unknown command", "no output", "no shards"],
)
def test_wrong_usage(tmp_path, monkeypatch, arguments):
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, *arguments) == 2
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("arguments", [["--help"], ["digits", "--help"], ["digits"]])
def test_help_and_usage_errors_import_nothing_slow(arguments):
    process = subprocess.run(
        [sys.executable, "-c", IMPORTED, *arguments], capture_output=True, text=True
    )
    assert process.stdout.splitlines()[-1] == "[]"
