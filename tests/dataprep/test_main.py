import subprocess
import sys
from pathlib import Path

import pytest
from images import class_folders, tiny_imagenet, write_folder, write_zip

from dataprep.__main__ import main

# Runs the command line, then tells which of the slow packages it imported.
IMPORTED = """
import sys
from dataprep.__main__ import main
try:
    main()
finally:
    print(sorted({"apache_beam", "numpy", "sklearn", "tensorflow"} & set(sys.modules)))
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
    out = capsys.readouterr().out
    assert out.startswith(
        f"{output}: written\n"
        "  train: 1,437 records in 4 shards\n"
        "  val: 360 records in 2 shards\n"
        "  classes: 10 (train, val)\n"
        "    zero (142, 36)\n"
    )
    assert out.endswith(f"Next: python local_runner.py --data '{output}'\n")
    assert run(monkeypatch, "digits", "--output", str(output)) == 0
    assert f"{output}: holds this data set already" in capsys.readouterr().out


def test_what_nobody_reads_was_written_all_the_same(tmp_path):
    command = f"'{sys.executable}' -m dataprep digits --output '{tmp_path}/data' | true"
    done = subprocess.run(
        ["bash", "-c", f"{command}; exit ${{PIPESTATUS[0]}}"], capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "data" / "manifest.json").exists()


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


def image_folder(source: Path, output: Path) -> list[str]:
    return ["image-folder", "--source", str(source), "--output", str(output)]


def test_writes_images_and_tells_what_was_left_out(tmp_path, monkeypatch, capfd):
    files = {**class_folders({"cat": 5, "dog": 5}), "cat/empty.png": b""}
    source = write_folder(tmp_path / "mine", files)
    arguments = [*image_folder(source, tmp_path / "data"), "--max-left-out", "0.2"]
    assert run(monkeypatch, *arguments) == 0
    assert capfd.readouterr().out == (
        f"{tmp_path}/data: written\n"
        "  train: 8 records in 1 shards\n"
        "  val: 2 records in 1 shards\n"
        "  classes: 2 (train, val)\n"
        "    cat (4, 1)\n"
        "    dog (4, 1)\n"
        "  left out: 1 images that cannot be used, cat/empty.png; manifest.json has the reasons\n"
        f"Next: python local_runner.py --data {tmp_path}/data\n"
    )


def test_tiny_imagenets_next_command_has_its_preset(tmp_path, monkeypatch, capfd):
    source = write_folder(tmp_path / "source", tiny_imagenet())
    arguments = ["tiny-imagenet", "--source", str(source), "--output", str(tmp_path / "data")]
    assert run(monkeypatch, *arguments, "--train-shards", "1", "--val-shards", "1") == 0
    told = capfd.readouterr().out.splitlines()[-1]
    assert told == f"Next: python local_runner.py --preset tiny-imagenet --data {tmp_path}/data"


def no_source(source: Path) -> None:
    pass


def text(source: Path) -> None:
    source.write_text("hello")


def cut_short(source: Path) -> None:
    write_zip(source, class_folders({"cat": 5, "dog": 5}))
    source.write_bytes(source.read_bytes()[:3000])


def pointing_out(source: Path) -> None:
    write_zip(source, {**class_folders({"cat": 2, "dog": 2}), "../cat/3.jpg": b""})


def one_class(source: Path) -> None:
    write_zip(source, class_folders({"cat": 2}))


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        (no_source, "--source {source}: there is no such file or folder"),
        (text, "{source} is no whole zip archive: it has no directory at its end"),
        (cut_short, "{source} is no whole zip archive: it has no directory at its end"),
        (pointing_out, "{source}: its member '../cat/3.jpg' points out of the archive"),
        (one_class, "the source has class 'cat' alone"),
    ],
)
def test_source_that_cannot_be_used_is_wrong_usage(tmp_path, monkeypatch, capfd, prepare, message):
    source = tmp_path / "mine.zip"
    prepare(source)
    before = sorted(tmp_path.iterdir())
    assert run(monkeypatch, *image_folder(source, tmp_path / "data")) == 2
    [line] = [line for line in capfd.readouterr().err.splitlines() if "error" in line]
    assert line.startswith(f"error: {message.format(source=source)}")
    assert sorted(tmp_path.iterdir()) == before


def test_flag_that_beam_does_not_take_is_wrong_usage(tmp_path, monkeypatch, capfd):
    source = write_folder(tmp_path / "mine", class_folders({"cat": 2, "dog": 2}))
    flag = "--beam.args=--direct_num_workers=many"
    assert run(monkeypatch, *image_folder(source, tmp_path / "data"), flag) == 2
    told = capfd.readouterr().err.splitlines()[-1]
    assert told == "error: --beam.args: argument --direct_num_workers: invalid int value: 'many'"
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["digits", "--help"], ["digits"], ["tiny-imagenet", "--help"], ["image-folder"]],
)
def test_help_and_usage_errors_import_nothing_slow(arguments):
    process = subprocess.run(
        [sys.executable, "-c", IMPORTED, *arguments], capture_output=True, text=True
    )
    assert process.stdout.splitlines()[-1] == "[]"
