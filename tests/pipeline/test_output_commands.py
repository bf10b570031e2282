import datetime
import functools
import shutil
import subprocess
import sys
from pathlib import Path

import filelock
import pytest
from commands import ROOT
from in_process import call, rows
from ml_metadata import proto
from recorded_runs import FAILED, KILOBYTE, Recorder

from pipeline.cleaning import leftovers, needed, remove
from pipeline.history import History
from pipeline.output import main
from served_model.versions import VersionFolder

IMPORTED = """
import sys
from pipeline.output import main
try:
    main()
finally:
    print(sorted({"numpy", "tensorflow", "tfx", "apache_beam"} & set(sys.modules)))
"""


@pytest.fixture
def folder(tmp_path) -> Path:
    output = tmp_path / "meine Bücher" / "digits"
    output.mkdir(parents=True)
    return output


@pytest.fixture
def recorder(folder) -> Recorder:
    return Recorder(folder)


@pytest.fixture
def command(monkeypatch, capsys):
    """Function: a command line → its exit code, what it tells, and its errors."""
    return functools.partial(call, main, monkeypatch, capsys)


def ids(*runs: dict[str, int]) -> set[int]:
    return {artifact for run in runs for artifact in run.values()}


def test_status_shows_runs_versions_champion_and_disk(folder, recorder, command):
    first = recorder.training("2026-11-01T10:00:00.1", blessed=True, push=True)
    recorder.training("2026-11-02T10:00:00.1", blessed=False, push=False)
    recorder.begin("2026-11-03T10:00:00.1")
    recorder.node("ImportExampleGen", cached=(first["examples"],), state=proto.Execution.CACHED)
    recorder.begin("2026-11-04T10:00:00.1")
    recorder.node("ImportExampleGen", state=FAILED)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}

    code, screen, errors = command("status", "--output", folder)

    assert (code, errors) == (0, "")
    [version] = VersionFolder(folder / "serving" / "fishnet").versions()
    told = rows(screen)
    assert told[:4] == [
        ["2026-11-01 10:00", "4", "0", f"pushed {version}"],
        ["2026-11-02 10:00", "4", "0", "nothing pushed"],
        ["2026-11-03 10:00", "1", "1", "with ImportExampleGen"],
        ["2026-11-04 10:00", "1", "0", "not beyond ImportExampleGen"],
    ]
    assert told[4][0] == str(version)
    assert told[4][2:4] == ["0.5000", "2026-11-01 10:00"]
    assert told[4][-1] == "served"
    assert f"champion   {folder}/artifacts/Trainer/model/2\n" in screen
    assert ["artifacts", "0.0"] in told
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_status_tells_a_path_as_it_is(tmp_path, command):
    folder = tmp_path / "[old]" / "a:x:b"
    folder.mkdir(parents=True)
    Recorder(folder).training("2026-11-01T10:00:00", blessed=True, push=True)
    _, screen, _ = command("status", "--output", folder)
    assert f"champion   {folder}/artifacts/Trainer/model/2\n" in screen


def test_status_of_a_folder_without_models(folder, recorder, command):
    recorder.begin("2026-11-04T10:00:00.1")
    recorder.node("ImportExampleGen")
    code, screen, _ = command("status", "--output", folder)
    assert code == 0
    assert "champion   none: no model has been blessed yet" in screen


def test_clean_leaves_what_is_needed(folder, recorder, command):
    gone = recorder.training("2026-11-01T10:00:00", blessed=True, push=True)
    refused = recorder.training("2026-11-02T10:00:00", blessed=False, push=False)
    served_before = recorder.training("2026-11-03T10:00:00", blessed=True, push=True)
    served = recorder.training("2026-11-03T11:00:00", blessed=True, push=True)
    champion = recorder.training("2026-11-04T10:00:00", blessed=True, push=False)
    last_whole = recorder.training("2026-11-05T10:00:00", blessed=False, push=False)
    recorder.begin("2026-11-06T10:00:00")
    [examples] = recorder.node("ImportExampleGen", outputs={"examples": "Examples"})
    everything = recorder.there()
    of_models = {
        run[key]
        for run in (served_before, served, champion)
        for key in ("model", "model_run", "blessing", "evaluation")
    }
    removed = everything - of_models - ids(last_whole) - {examples}
    assert ids(gone, refused) < removed  # of three pushed versions two are there

    code, screen, _ = command("clean", "--output", folder, "--keep-runs", 1, "--dry-run")
    assert code == 0
    assert f"{len(removed)} artifacts would be removed, " in screen
    assert recorder.there() == everything
    assert set(recorder.states().values()) == {"LIVE"}

    code, screen, _ = command("clean", "--output", folder, "--keep-runs", 1)
    assert code == 0
    assert recorder.there() == everything - removed
    assert {n for n, state in recorder.states().items() if state == "DELETED"} == removed
    assert screen.splitlines()[-1] == f"{len(removed)} artifacts removed, 0.0 MB"
    assert len(VersionFolder(folder / "serving" / "fishnet").versions()) == 2
    assert command("clean", "--output", folder, "--keep-runs", 1)[1] == "nothing to remove\n"
    assert command("status", "--output", folder)[0] == 0


def test_what_a_kept_run_had_from_the_cache_stays(folder, recorder):
    old = recorder.training("2026-11-01T10:00:00", blessed=False, push=False)
    for day in (2, 3):
        recorder.begin(f"2026-11-0{day}T10:00:00")
        recorder.node("ImportExampleGen", cached=(old["examples"],), state=proto.Execution.CACHED)
        recorder.node("Pusher")
    versions = VersionFolder(folder / "serving" / "fishnet")
    assert needed(History(folder), versions, keep_runs=1) == {old["examples"]}
    assert needed(History(folder), versions, keep_runs=3) == ids(old)


def test_older_than_spares_what_is_young(folder, recorder, command):
    recorder.training("2026-11-01T10:00:00", blessed=False, push=False)
    recorder.training("2026-11-02T10:00:00", blessed=False, push=False)
    flags = ("clean", "--output", folder, "--keep-runs", 1, "--dry-run")
    assert command(*flags, "--older-than", 0.01)[1] == "nothing to remove\n"
    assert "6 artifacts would be removed" in command(*flags)[1]


def test_removal_that_was_interrupted_is_made_up_for(folder, recorder, monkeypatch):
    old = recorder.training("2026-11-01T10:00:00", blessed=False, push=False)
    recorder.training("2026-11-02T10:00:00", blessed=False, push=False)
    versions = VersionFolder(folder / "serving" / "fishnet")

    def found(change: bool = True):
        history = History(folder, change)
        return history, leftovers(folder, history, versions, 1, datetime.timedelta(0))

    history, first = found()
    assert sum(leftover.bytes for leftover in first) == 6 * KILOBYTE
    with monkeypatch.context() as patch, pytest.raises(OSError, match="full"):
        patch.setattr(shutil, "rmtree", _fail)
        remove(history, first)
    # No run takes what may be half gone.
    assert {n for n, state in recorder.states().items() if state == "DELETED"} == ids(old)
    history, again = found()
    assert {leftover.artifact.id for leftover in again} == ids(old)
    remove(history, again)
    assert not recorder.there() & ids(old)


def _fail(folder: Path) -> None:
    raise OSError("full")


def test_what_is_recorded_elsewhere_is_not_touched(folder, recorder, command):
    """As in a copy of an output folder: the record names the original's artifacts."""
    recorder.training("2026-11-01T10:00:00", blessed=False, push=False)
    recorder.training("2026-11-02T10:00:00", blessed=False, push=False)
    copy = folder.with_name("copy")
    shutil.copytree(folder, copy)
    before = recorder.there()
    assert command("clean", "--output", copy, "--keep-runs", 1)[1] == "nothing to remove\n"
    assert recorder.there() == before
    assert set(Recorder(copy).states().values()) == {"LIVE"}


def test_clean_waits_for_no_run(folder, recorder, command):
    recorder.training("2026-11-01T10:00:00", blessed=False, push=False)
    recorder.training("2026-11-02T10:00:00", blessed=False, push=False)
    with filelock.FileLock(folder / ".lock"):
        code, _, errors = command("clean", "--output", folder, "--keep-runs", 1)
        assert code == 1
        assert "is in use by another run" in errors
        assert command("status", "--output", folder)[0] == 0
    assert set(recorder.states().values()) == {"LIVE"}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("clean", "--keep-runs", "0"), "--keep-runs must be 1 or more"),
        (("clean", "--older-than", "-1"), "--older-than must be a number of days"),
        (("clean", "--older-than", "nan"), "--older-than must be a number of days"),
        (("clean", "--older-than", "800000"), "--older-than must be a number of days"),
    ],
)
def test_wrong_usage(folder, recorder, command, arguments, told):
    code, _, errors = command(*arguments, "--output", folder)
    assert code == 2
    assert told in errors


def test_the_greatest_age_is_older_than_all(folder, recorder, command):
    assert command("clean", "--output", folder, "--older-than", 36_500)[:2] == (
        0,
        "nothing to remove\n",
    )


@pytest.mark.parametrize("name", ["status", "clean"])
def test_folder_that_has_had_no_run(tmp_path, command, name):
    code, _, errors = command(name, "--output", tmp_path / "none")
    assert code == 2
    assert "no output folder of a run" in errors
    assert not any(tmp_path.iterdir())


def test_damaged_record_is_an_error(folder, recorder, command):
    (folder / "metadata.db").write_bytes(b"<html>")
    code, _, errors = command("status", "--output", folder)
    assert code == 1
    assert "Move it away" in errors


def test_command_imports_no_tensorflow(folder, recorder):
    done = subprocess.run(
        [sys.executable, "-c", IMPORTED, "status", "--output", folder],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "[]"
