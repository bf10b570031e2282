import functools
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from commands import ROOT
from in_process import call, rows

from served_model.files import digest, model_files
from served_model.receipt import RECEIPT_FILE, Receipt
from served_model.versions import LOCK_FILE, VersionFolder
from serving.versions import main

# Runs the command line, then tells which of the slow packages it imported.
IMPORTED = """
import sys
from serving.versions import main
try:
    main()
finally:
    print(sorted({"numpy", "tensorflow", "tfx", "apache_beam", "grpc"} & set(sys.modules)))
"""


@pytest.fixture
def folder(tmp_path) -> Path:
    """Three versions: models of one, two and three MB, of rising top-1."""
    versions = VersionFolder(tmp_path / "meine Bücher" / "fishnet")
    for size in (1, 2, 3):
        model = tmp_path / f"model {size}"
        model.mkdir()
        (model / "saved_model.pb").write_bytes(bytes(size * 1_000_000))
        model_digest = digest(str(model), model_files(str(model)))
        receipt = Receipt(model_digest, metrics={"top1": 0.9 + size / 100})
        versions.push(lambda staging, model=model: shutil.copytree(model, staging), receipt, 9)
    return versions.path


@pytest.fixture
def run(monkeypatch, capsys):
    """Function: a command line → its exit code, what it tells, and its errors."""
    return functools.partial(call, main, monkeypatch, capsys)


def numbers(folder: Path) -> list[int]:
    return VersionFolder(folder).versions()


def test_list(folder, run):
    code, screen, errors = run("list", folder)
    assert (code, errors) == (0, "")
    receipts = [VersionFolder(folder).receipt(number) for number in numbers(folder)]
    assert rows(screen) == [
        [
            str(receipt.version),
            receipt.pushed_at[:19].replace("T", " "),
            receipt.model_digest[:12],
            f"0.9{size}00",
            f"{size}.0",
            "served" if size == 3 else "",
        ]
        for size, receipt in enumerate(receipts, start=1)
    ]


def test_list_tells_of_copies_and_of_versions_without_a_receipt(folder, run):
    oldest, *_, newest = numbers(folder)
    (folder / str(newest) / RECEIPT_FILE).write_text("{")
    assert run("rollback", folder, "--to", oldest)[0] == 0
    _, screen, _ = run("list", folder)
    assert rows(screen)[-1][-1] == f"copy of {oldest}, served"
    assert rows(screen)[-2] == [str(newest), "–", "–", "–", "3.0", ""]


def test_rollback(folder, run):
    before = numbers(folder)
    code, screen, errors = run("rollback", folder)
    new = numbers(folder)[-1]
    assert (code, screen, errors) == (0, f"{folder}/{new} is the newest version now\n", "")
    assert numbers(folder) == [*before, new]
    assert VersionFolder(folder).receipt(new).copy_of == before[1]
    assert run("rollback", folder, "--to", before[0])[0] == 0
    assert VersionFolder(folder).receipt(numbers(folder)[-1]).copy_of == before[0]


def test_prune(folder, run):
    first, *rest = numbers(folder)
    assert run("prune", folder, "--keep", 2) == (0, f"deleted: {first}\n", "")
    assert numbers(folder) == rest
    assert run("prune", folder, "--keep", 2) == (0, "deleted: none\n", "")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["list", "{}/nowhere"], "{}/nowhere: no such folder"),
        (["list", "gs://bucket/fishnet"], "only folders can be worked on, not object stores"),
        (["list", "{}/.."], "holds no versions; give the folder of the numbered ones"),
        (["rollback", "{}/.."], "holds no versions"),
        (["prune", "{}/..", "--keep", "3"], "holds no versions"),
        (["rollback", "{}", "--to", "7"], "{} has no version 7; there are "),
        (["prune", "{}", "--keep", "0"], "--keep must be 1 or more"),
    ],
)
def test_wrong_usage(folder, run, arguments, message):
    before = numbers(folder)
    code, screen, errors = run(*(argument.format(folder) for argument in arguments))
    assert (code, screen) == (2, "")
    assert errors.startswith("error: ")
    assert message.format(folder) in errors
    assert errors.count("\n") == 1
    assert numbers(folder) == before
    assert not (folder.parent / LOCK_FILE).exists()


@pytest.mark.parametrize("arguments", [[], ["lst"], ["list"], ["prune", "somewhere"]])
def test_usage_that_does_not_parse(run, arguments):
    assert run(*arguments)[0] == 2


def test_folder_that_cannot_be_changed_is_one_line(folder, run, monkeypatch):
    def refuse(*_):
        raise PermissionError(13, "Permission denied", str(folder))

    monkeypatch.setattr(os, "open", refuse)
    code, _, errors = run("prune", folder, "--keep", 1)
    assert code == 1
    assert errors == f"error: [Errno 13] Permission denied: '{folder}'\n"


@pytest.mark.parametrize("arguments", [["--help"], ["list", "FOLDER"], ["rollback", "FOLDER"]])
def test_commands_import_nothing_slow(folder, arguments):
    arguments = [str(folder) if argument == "FOLDER" else argument for argument in arguments]
    process = subprocess.run(
        [sys.executable, "-c", IMPORTED, *arguments], capture_output=True, text=True, cwd=ROOT
    )
    assert process.stdout.splitlines()[-1] == "[]"
