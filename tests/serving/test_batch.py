"""`python -m serving.batch`, as far as it needs no model."""

import subprocess
import sys

import pytest
from commands import ROOT
from images import write_folder

from dataset.image_files import is_image
from served_model.files import CLASSES_FILE, SAVED_MODEL
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


@pytest.fixture
def model(tmp_path):
    """What looks like a pushed version from outside."""
    write_folder(tmp_path / "7", {SAVED_MODEL: b"", CLASSES_FILE: b"[]"})
    return tmp_path / "7"


def test_model_of_another_program(run, tmp_path, model):
    (model / CLASSES_FILE).unlink()
    code, error = run("--source", tmp_path, "--model", model, "--output", "o.jsonl")
    assert code == 2
    assert f"--model {model}: a SavedModel that this pipeline did not write" in error


@pytest.mark.parametrize("name", ["source", "model", "output"])
def test_empty_argument(run, tmp_path, model, name):
    given = {"source": tmp_path, "model": model, "output": "o.jsonl", name: ""}
    flags = [word for flag, value in given.items() for word in (f"--{flag}", value)]
    assert run(*flags) == (2, f"error: --{name} is empty\n")


@pytest.mark.parametrize("end", ["", "/"])
def test_output_that_is_a_folder(run, tmp_path, model, end):
    folder = tmp_path / "there"
    folder.mkdir()
    for given in (f"{folder}{end}", f"{tmp_path}/absent/"):
        code, error = run("--source", tmp_path, "--model", model, "--output", given)
        assert code == 2
        assert f"--output {given}: a folder; give a file, e.g. {tmp_path}/" in error


def test_folder_without_an_end(run, tmp_path, model):
    source = write_folder(tmp_path / "source", {"a/1.jpg": b""})
    (source / "a" / "loop").symlink_to(source)
    code, error = run("--source", source, "--model", model, "--output", tmp_path / "o.jsonl")
    assert (code, error) == (
        1,
        f"error: nothing was written: {source}/a/loop is a link to a folder that it lies in. "
        "Remove the link\n",
    )


def test_images_are_those_that_dataprep_takes(tmp_path):
    from dataprep.source import Folder
    from serving.batch_source import find_images

    files = dict.fromkeys(("a/1.jpg", "a/2.WebP", "b.PNG", "a/._1.jpg", "a/n.txt"), b"x")
    root = write_folder(tmp_path / ".hidden [1]", {**files, ".ipynb_checkpoints/1.jpg": b"x"})
    (root / "linked").symlink_to(root / "a")
    found = {image.name for image in find_images(str(root))}
    assert found == {"a/1.jpg", "a/2.WebP", "b.PNG", "linked/1.jpg", "linked/2.WebP"}
    assert found == {e.path for e in Folder(str(root)).entries() if is_image(e.path)}


def test_images_on_an_object_store(monkeypatch):
    from apache_beam.io.filesystem import FileMetadata, MatchResult
    from apache_beam.io.filesystems import FileSystems

    from serving.batch_source import find_images

    paths = ("a/1.jpg", "a/2.tif", "a/._1.jpg", ".ipynb_checkpoints/1.jpg", "notes.txt")
    objects = [FileMetadata(f"gs://bucket/.set/{path}", 3) for path in paths]

    def match(patterns):
        assert patterns == ["gs://bucket/.set/**"]
        return [MatchResult(patterns[0], objects)]

    monkeypatch.setattr(FileSystems, "match", match)
    assert [image.file for image in find_images("gs://bucket/.set")] == objects[:2]


def test_engine_that_is_none(run, tmp_path, model):
    flags = (
        "--source",
        tmp_path,
        "--model",
        model,
        "--output",
        "o",
        "--beam.runner",
        "FlinkRunner",
    )
    code, error = run(*flags)
    assert code == 2
    assert "'local', 'dataflow', 'flink', 'spark'" in error


def test_help_imports_nothing_slow():
    code = "import sys; from serving import batch; print('tensorflow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "False\n"
