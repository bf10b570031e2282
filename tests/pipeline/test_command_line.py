import dataclasses
import math
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.command_line import RunnerArguments, parse, usage_error
from pipeline.config import Config
from pipeline.presets import PRESETS

ROOT = Path(__file__).parents[2]

PRESET_NAMES = (
    "digits, images, finetune, tiny-imagenet, tiny-imagenet-fishnet99, tiny-imagenet-fishnet150"
)


def parsed(*argv: str) -> Config:
    return parse(RunnerArguments, argv, default_preset="images").config


def refused(capsys, *argv: str) -> str:
    """What is told on stderr of a command line that is refused."""
    with pytest.raises(SystemExit) as exit_info:
        parse(RunnerArguments, argv, default_preset="images")
    assert exit_info.value.code == 2
    captured = capsys.readouterr()
    # the frame around tyro's messages breaks their lines
    return " ".join((captured.out + captured.err).replace("│", " ").split())


def test_without_flags_the_default_preset_is_taken():
    assert parsed() == PRESETS["images"]


@pytest.mark.parametrize("preset", PRESETS)
def test_preset(preset):
    assert parsed("--preset", preset) == PRESETS[preset]
    assert parsed(f"--preset={preset}") == PRESETS[preset]


@pytest.mark.parametrize("first", [True, False])
def test_flags_win_over_the_preset_wherever_it_stands(first):
    preset, flags = ["--preset", "digits"], ["--trainer.epochs", "3"]
    config = parsed(*(preset + flags if first else flags + preset))
    digits = PRESETS["digits"]
    trainer = dataclasses.replace(digits.trainer, epochs=3)
    assert config == dataclasses.replace(digits, trainer=trainer)


@pytest.mark.parametrize(
    ("argv", "section", "field", "value"),
    [
        (["--trainer.batch_size", "7"], "trainer", "batch_size", 7),
        (["--trainer.learning_rate=1e-3"], "trainer", "learning_rate", 1e-3),
        (["--augment.flip", "False"], "augment", "flip", False),
        (["--transform.materialize", "True"], "transform", "materialize", True),
        (["--model.stem", "small"], "model", "stem", "small"),
        (["--evaluator.min_top1_gain", "-0.1"], "evaluator", "min_top1_gain", -0.1),
        (["--evaluator.max_loss", "inf"], "evaluator", "max_loss", math.inf),
        (["--data.class_names", "ant", "guinea pig"], "data", "class_names", ("ant", "guinea pig")),
        (["--beam.args=--region=europe-west4"], "beam", "args", ("--region=europe-west4",)),
    ],
)
def test_any_field_can_be_set(argv, section, field, value):
    assert getattr(getattr(parsed(*argv), section), field) == value


@pytest.mark.parametrize(
    ("flag", "near"),
    [
        ("--trainer.epoch", "--trainer.epochs"),
        ("--trainer.learning-rte", "--trainer.learning_rate"),
        ("--epochs", "--trainer.epochs"),
        ("--modle.name", "--model.name"),
    ],
)
def test_unknown_flag_names_the_near_ones(capsys, flag, near):
    message = refused(capsys, flag, "3")
    assert flag in message
    assert near in message


@pytest.mark.parametrize(
    ("argv", "parts"),
    [
        (["--trainer.epochs", "three"], ["--trainer.epochs", "three"]),
        (["--trainer.epochs", "0"], ["`trainer.epochs` must be positive", "0"]),
        (["--trainer.epochs"], ["--trainer.epochs"]),
        (["--augment.flip", "maybe"], ["--augment.flip", "maybe"]),
        (["--model.stem", "large"], ["--model.stem", "large", "published", "small"]),
        (["stray"], ["stray"]),
    ],
)
def test_bad_value_is_named(capsys, argv, parts):
    message = refused(capsys, *argv)
    for part in parts:
        assert part in message


def test_unknown_preset_names_them_all_and_the_near_one(capsys):
    message = refused(capsys, "--preset", "digit")
    assert f"unknown preset 'digit'; there are {PRESET_NAMES}." in message
    assert "Did you mean digits?" in message
    assert "Did you mean" not in refused(capsys, "--preset", "x")


@pytest.mark.parametrize("argv", [["--preset", ""], ["--preset="]])
def test_empty_preset_is_none(capsys, argv):
    """Of a shell variable that is not set."""
    message = refused(capsys, *argv)
    assert f"unknown preset ''; there are {PRESET_NAMES}." in message


def test_preset_without_a_value_is_named(capsys):
    assert "--preset" in refused(capsys, "--preset")


def test_usage_error_goes_to_stderr(capsys):
    with pytest.raises(SystemExit) as exit_info:
        usage_error("no such folder")
    assert exit_info.value.code == 2
    assert capsys.readouterr() == ("", "error: no such folder\n")


@pytest.mark.parametrize("argv", [["--help"], ["--trainer.epoch", "3"], ["--preset", "digits"]])
def test_nothing_heavy_is_imported_to_answer(argv):
    """TensorFlow takes seconds to load; help and usage errors must not wait for it."""
    code = f"""
import sys
from pipeline.command_line import RunnerArguments, parse
try:
    parse(RunnerArguments, {argv}, "images")
finally:
    heavy = {{"tensorflow", "tfx", "keras", "apache_beam", "numpy", "tensorflow_transform"}}
    found = heavy & set(sys.modules)
    if found:
        sys.stdout.flush()
        sys.stderr.write(f"imported: {{sorted(found)}}")
"""
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert "imported: " not in run.stderr
    assert run.returncode == (2 if argv[0] == "--trainer.epoch" else 0), run.stderr


def test_help_tells_every_field_with_its_default(capsys):
    with pytest.raises(SystemExit) as exit_info:
        parse(RunnerArguments, ["--help", "--preset", "digits"], default_preset="images")
    assert exit_info.value.code == 0
    text = capsys.readouterr().out
    for section in dataclasses.fields(Config):
        for field in dataclasses.fields(section.type):
            assert f"--{section.name}.{field.name}" in text
    assert "(default: 8)" in text  # the preset's epochs


def test_flags_of_a_search_that_is_not_enabled_are_refused(capsys):
    told = refused(capsys, "--tuner.learning-rates", "0.1", "0.2", "--tuner.trials=2")
    assert told.startswith("error: --tuner.learning-rates: there is no search without --tuner.enab")
    search = ("--tuner.trials", "9", "--tuner.enable")
    assert parsed(*search, "True").tuner.enable
    assert not parsed(*search, "False").tuner.enable  # said so


def test_beams_flags_add_up():
    config = parsed("--beam.args=--region=europe-west4", "--beam.args=--project=mine")
    assert config.beam.args == ("--region=europe-west4", "--project=mine")
