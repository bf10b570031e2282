"""`python -m serving.client`."""

import json
import subprocess
import sys

import numpy as np
import pytest
from commands import ROOT
from double import free_port, made_up

from serving.command import main


@pytest.fixture
def run(monkeypatch, capsys):
    """Function: arguments → exit code, stdout's lines, stderr's lines."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["client", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            main()
        out, err = capsys.readouterr()
        return stop.value.code, out.splitlines(), err.splitlines()

    return run


def lines(version, photos, photo_files):
    outputs = made_up(version)(photos)
    return [
        f"{file}  {names[0].decode()} {scores[0]:.4f}  {names[1].decode()} {scores[1]:.4f}"
        for file, names, scores in zip(
            photo_files, outputs["classes"], outputs["scores"], strict=True
        )
    ]


def test_tells_names_and_scores(run, url, photos, photo_files):
    assert run(*photo_files, "--url", url) == (0, lines(5, photos, photo_files), [])


@pytest.mark.parametrize("which", [["--version", "3"], ["--label", "stable"]])
def test_version_and_label(run, url, photos, photo_files, which):
    assert run(*photo_files, "--url", url, *which) == (0, lines(3, photos, photo_files), [])


def test_bad_file_is_named_and_the_others_answered(run, url, photos, photo_files, tmp_path):
    text = tmp_path / "text.png"
    text.write_text("no image")
    code, out, err = run(text, *photo_files, "--url", url)
    assert (code, out) == (1, lines(5, photos, photo_files))
    assert err == [f"error: {text}: is not a JPEG or PNG file"]


def test_json(run, url, photos, photo_files, tmp_path):
    code, out, err = run(*photo_files, tmp_path / "nosuch", "--url", url, "--json")
    assert (code, err) == (1, [])
    *told, last = map(json.loads, out)
    outputs = made_up(5)(photos)
    assert [line["file"] for line in told] == list(map(str, photo_files))
    assert [line["classes"][0].encode() for line in told] == [x[0] for x in outputs["classes"]]
    np.testing.assert_allclose([line["scores"] for line in told], outputs["scores"])
    assert last == {
        "file": str(tmp_path / "nosuch"),
        "error": "cannot be read: No such file or directory",
    }


@pytest.mark.parametrize("flag", ["--url", pytest.param("--grpc", marks=pytest.mark.slow)])
def test_dead_server(run, photo_files, flag):
    where = f"127.0.0.1:{free_port()}"
    code, out, [error] = run(
        *photo_files, flag, f"http://{where}" if flag == "--url" else where, "--timeout", "5"
    )
    assert (code, out) == (1, [])
    assert error.startswith("error: ")
    assert f"{where} is not available" in error


def test_unknown_model(run, url, photo_files):
    code, out, [error] = run(*photo_files, "--url", url, "--model", "nosuch")
    assert (code, out) == (1, [])
    assert "does not serve model `nosuch`" in error


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "no image was given"),
        (["a.png", "--version", "1", "--label", "x"], "give a version or a label, not both"),
        (["a.png", "--url", "localhost:8501"], "a REST address starts with http"),
        (["a.png", "--timeout", "0"], "--timeout must be positive"),
        (["a.png", "--versoin", "1"], "versoin"),
    ],
)
def test_wrong_usage(run, arguments, told):
    code, out, err = run(*arguments)
    assert (code, out) == (2, [])
    assert told in "\n".join(err)


def test_command(url, photos, photo_files):
    done = subprocess.run(
        [sys.executable, "-m", "serving.client", *photo_files, "--url", url],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == lines(5, photos, photo_files)


@pytest.mark.slow
def test_grpc_command_tells_nothing_of_tensorflow(address, photos, photo_files):
    done = subprocess.run(
        [sys.executable, "-m", "serving.client", *photo_files, "--grpc", address],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == lines(5, photos, photo_files)
