"""Wrong usage: what is wrong is told in one go, before TensorFlow is loaded."""

import re
from pathlib import Path

import pytest
from commands import run, start, wait

from local_runner import Arguments, check
from pipeline.command_line import parse


def told(text: str) -> str:
    """What is told in `text`, without the frame and the line breaks that tyro gives it."""
    return " ".join(re.sub(r"[╭╮╰╯│─]", " ", text).split())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--preset", "digit"],
            r"unknown preset 'digit'.* tiny-imagenet-fishnet150\. Did you mean digits\?",
        ),
        (["--trainer.epoch", "3"], r"--trainer\.epoch, 3.*Perhaps you meant: --trainer\.epochs"),
        (["--trainer.epochs", "many"], r"--trainer\.epochs: .*'many'"),
        (["--trainer.epochs", "0"], r"`trainer\.epochs` must be positive\. Received: 0"),
        (["--trainer.momentum", "1"], r"`trainer\.momentum` must be in \[0, 1\)\. Received: 1"),
        (["--data.max_bad_share", "2"], r"`data\.max_bad_share` must be in 0\.\.1\. Received: 2"),
        (["--model.stem", "big"], r"'big' for argument '--model\.stem'.*'small'"),
        (["--model.name", "fishnet_99"], r"`model\.name` .*fishnet99.*'fishnet_99'"),
        (
            ["--image.height", "20", "--image.width", "16"],
            r"`image\.height` must be 16 or .* Received: 20",
        ),
        (["--from", "Train"], r"--from Train: no such node; there are .*Trainer"),
        (
            ["--from", "Trainer", "--to", "Transform"],
            r"--from Trainer --to Transform: Transform comes before Trainer",
        ),
        (["--from", ""], r"--from is empty"),
        (["--from", "Trainer"], r"--from Trainer: output/\w+ has no earlier run to go on from"),
        (["--to="], r"--to is empty"),
        (
            ["--preset", ""],
            r"unknown preset ''; there are digits, images, finetune, tiny-imagenet, "
            r"tiny-imagenet-fishnet99, tiny-imagenet-fishnet150\.",
        ),
        (["--preset", "finetune"], r"give --model\.weights FILE"),
        (["--model.weights", "no.keras"], r"--model\.weights no\.keras: cannot be read \(No such"),
        (["--model.weights", ""], r"`model\.weights` must be a file, or left out"),
        (["--data", ""], r"--data is empty"),
        (["--output", ""], r"--output is empty"),
        (["--output="], r"--output is empty"),
        (["--data", "nowhere"], r"--data nowhere: no such folder"),
        (["--data", "file"], r"--data file: "),
        (["--output", "file"], r"--output file: cannot be written \(File exists\)"),
        (["--output", "file/run"], r"--output file/run: cannot be written \(Not a directory\)"),
        (["--output", "run[1]"], r"run\[1\]: in paths Beam takes \*, \? and \[ for patterns"),
        (["--output", "/proc/run"], r"--output /proc/run: cannot be written"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_usage_is_reported_before_tensorflow_is_loaded(tmp_path, arguments, message):
    (tmp_path / "file").touch()
    imports_on_stderr = ["env", "PYTHONPROFILEIMPORTTIME=1"]
    ended = wait(start(tmp_path, *arguments, prefix=imports_on_stderr), tmp_path / "output")
    imported = re.findall(r"^import time:.*\|\s*([\w.]+)$", ended.errors, re.MULTILINE)
    errors = re.sub(r"^import time:.*\n", "", ended.errors, flags=re.MULTILINE)
    assert "pipeline.config" in imported
    assert not {"tensorflow", "tfx"} & set(imported)
    assert ended.exit_code == 2
    assert re.search(message, told(errors))
    assert "Traceback" not in errors
    assert ended.screen == ""
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_package_that_cannot_be_imported_is_named_with_what_to_do(tmp_path):
    """TFX's own public module would pass over it, and have None for its components."""
    broken = tmp_path / "tensorflow_data_validation.py"
    broken.write_text("raise ImportError('libm.so.6: version `GLIBC_2.38` not found')")
    ended = run(tmp_path, "--dry-run", prefix=["env", f"PYTHONPATH={tmp_path}"])
    assert ended.exit_code == 1
    assert ended.errors == (
        "error: libm.so.6: version `GLIBC_2.38` not found; delete .venv, and `make setup` makes it "
        "as it is to be\n"
    )
    assert ended.screen == ""


def test_current_folder_may_be_named(tmp_path, monkeypatch):
    """Only the empty text is refused, which Path takes for the same."""
    monkeypatch.chdir(tmp_path)
    arguments = parse(Arguments, ["--data", ".", "--output", "."], default_preset="images")
    check(arguments)
    assert (arguments.data_folder, arguments.output_folder) == (Path(), Path())
