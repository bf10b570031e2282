"""`python -m dataprep inspect` and `verify`, as a user sees them."""

from pathlib import Path

import hand_made
import pytest
from hand_made import example, examples, image
from in_process import call
from PIL import Image

from dataprep.__main__ import main


@pytest.fixture
def run(monkeypatch, tmp_path, capsys):
    """Runs the command line in this process, in `tmp_path`: exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: call(main, monkeypatch, capsys, *arguments)


def written(folder: Path, train=None, val=None, names=hand_made.NAMES) -> Path:
    return hand_made.write(folder, train or hand_made.train(), val or hand_made.val(), names=names)


def rows(screen: str) -> list[list[str]]:
    return [line.split() for line in screen.splitlines()]


def test_inspect_prints_tables_and_draws_a_contact_sheet(run, tmp_path):
    written(tmp_path / "data")
    files = sorted((tmp_path / "data").rglob("*"))
    exit_code, screen, errors = run("inspect", "data")
    assert (exit_code, errors) == (0, "")
    for row in (
        ["shards", "3", "1"],
        ["records", "9", "3"],
        ["classes", "3", "3"],
        ["records", "a", "class", "3", "1"],
        ["width,", "pixels", "12", "12"],
        ["format", "PNG", "PNG"],
        ["colours", "RGB", "RGB"],
        ["3", "Kätzchen", "3", "1"],
    ):
        assert row in rows(screen)
    assert "lacks" not in screen
    assert screen.endswith("contact sheet: contact-sheet.png\n")
    assert Image.open(tmp_path / "contact-sheet.png").format == "PNG"
    assert sorted((tmp_path / "data").rglob("*")) == files


def test_inspect_tells_least_median_and_greatest(run, tmp_path):
    train = [[example(1, image(seed, (size, 9))) for seed, size in enumerate((30, 10, 10, 1000))]]
    written(tmp_path / "data", train)
    assert "10 / 10 / 1,000" in run("inspect", "data")[1]


def test_inspect_tells_lacking_classes_and_unusable_records(run, tmp_path):
    written(tmp_path / "data", val=[[*examples(2, 20, labels=(1,)), example(2, b"")]])
    exit_code, screen, _ = run("inspect", "data")
    assert exit_code == 0
    assert "val lacks 2 of 3 classes: bee, Kätzchen\n" in screen
    assert "records without a readable image or label: 1; " in screen


@pytest.fixture
def many_classes(tmp_path) -> Path:
    """30 classes; of the class with label n there are n training records."""
    encoded = image(0)
    train = [[example(label, encoded) for label in range(1, 31) for _ in range(label)]]
    val = [[example(label, encoded) for label in range(1, 31)]]
    names = [f"class_{label}" for label in range(1, 31)]
    return written(tmp_path / "data", train, val, names)


def test_inspect_shows_the_smallest_and_largest_of_many_classes(run, many_classes):
    screen = run("inspect", "data")[1]
    shown = [int(row[0]) for row in rows(screen) if len(row) > 1 and row[1].startswith("class_")]
    assert shown == [*range(1, 11), *range(21, 31)]
    assert "10 classes between: --all" in screen
    everything = run("inspect", "data", "--all")[1]
    assert all(f"class_{label} " in everything for label in range(1, 31))


def test_contact_sheet_has_classes_evenly_chosen(run, many_classes, monkeypatch):
    from dataprep import contact_sheet

    drawn = []
    draw = contact_sheet.draw
    monkeypatch.setattr(
        contact_sheet, "draw", lambda rows, columns: drawn.extend(rows) or draw(rows, columns)
    )
    run("inspect", "data", "--contact-sheet", "sheet.png")
    names = [row.name for row in drawn]
    assert len(set(names)) == 20
    assert (names[0], names[-1]) == ("class_1", "class_30")
    assert drawn[0].note == "label 1: 1 train, 1 val"
    assert Path("sheet.png").exists()


def test_names_are_printed_as_they_are(run, tmp_path):
    written(tmp_path / "data", names=("[red]ant[/red]", ":bee:", "c"))
    screen = run("inspect", "data")[1]
    assert "[red]ant[/red]" in screen
    assert ":bee:" in screen


def test_verify_of_a_good_data_set(run, tmp_path):
    written(tmp_path / "data")
    exit_code, screen, errors = run("verify", "data")
    assert (exit_code, errors) == (0, "")
    assert screen.startswith("data: all good: 12 records in 4 shards (")
    assert screen.count("\n") == 1


def test_verify_names_what_is_bad(run, tmp_path):
    bad = [example(1, b"", filename=f"{index:02d}.JPEG") for index in range(30)]
    written(tmp_path / "data", train=[examples(3, 0), bad], val=[examples(2, 20, labels=(1, 3))])
    exit_code, screen, _ = run("verify", "data")
    assert exit_code == 4
    assert ["no", "image", "30", "0"] in rows(screen)
    assert "val lacks 1 of 3 classes: label 2. " in screen
    assert "train/train-00001-of-00002, record 19: 19.JPEG: no image: " in screen
    assert "20.JPEG" not in screen
    assert "… and 10 more: --all names them\n" in screen
    assert "data: not good: bad records: 30, other faults: 1: 35 records in 3 shards (" in screen
    assert "29.JPEG" in run("verify", "data", "--all")[1]


def test_verify_notes_repeated_images(run, tmp_path):
    train = hand_made.train()
    written(tmp_path / "data", [*train, train[0][:2]], [[*hand_made.val()[0], train[0][0]]])
    exit_code, screen, _ = run("verify", "data")
    assert exit_code == 0
    assert "note: train records that repeat an image of train: 2\n" in screen
    assert "note: val records whose image is in train too: 1; " in screen


@pytest.mark.parametrize("command", ["inspect", "verify"])
def test_progress_is_shown_on_a_terminal(run, tmp_path, command, monkeypatch):
    written(tmp_path / "data")
    monkeypatch.setenv("TTY_COMPATIBLE", "1")  # to rich, every stream is a terminal
    _, _, errors = run(command, "data")
    size = sum(shard.stat().st_size for shard in tmp_path.glob("data/*/*-of-*")) / 1000
    assert f"{size:.1f}/{size:.1f} kB" in errors


@pytest.mark.parametrize("command", ["inspect", "verify"])
def test_folder_that_is_not_there(run, command):
    assert run(command, "nowhere") == (2, "", "error: nowhere: no such folder\n")


@pytest.mark.parametrize("command", ["inspect", "verify"])
def test_folder_that_is_no_data_set(run, tmp_path, command):
    (tmp_path / "empty").mkdir()
    exit_code, screen, errors = run(command, "empty")
    assert exit_code == 4
    assert "val" in screen + errors


@pytest.mark.parametrize("sheet", ["nowhere/sheet.png", "."])
def test_contact_sheet_that_cannot_be_written(run, tmp_path, sheet):
    written(tmp_path / "data")
    exit_code, screen, errors = run("inspect", "data", "--contact-sheet", sheet)
    assert exit_code == 2
    assert bool(screen) == (sheet == ".")  # a folder that is not there is told before reading
    assert errors.startswith(f"error: --contact-sheet {sheet}: ")
    assert errors.count("\n") == 1


@pytest.mark.parametrize("reader", ["inspection.inspect", "verification.verify"])
def test_interrupt_is_one_line(run, tmp_path, reader, monkeypatch):
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    written(tmp_path / "data")
    monkeypatch.setattr(f"dataprep.{reader}", interrupted)
    assert run(reader.split(".")[1], "data") == (130, "", "interrupted; nothing was written\n")
