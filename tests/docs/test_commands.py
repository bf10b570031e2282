"""Each command in README, CONTRIBUTING and docs is one that its program takes.

Ours are read by their own parsers, and have a test that runs them. Of others' it is said what it
would take to run them.
"""

import functools
import re
import subprocess
from collections.abc import Callable
from dataclasses import fields

import pytest
import tyro
from commands import ROOT
from pages import PAGES, shown_commands

import dataprep.__main__
import kubeflow_runner
import local_runner
import pipeline.output
import serving.batch
import serving.command
import serving.demo
import serving.export
import serving.versions
from pipeline.command_line import parse
from pipeline.config import Config
from pipeline.kubeflow.arguments import Compile, Submit, Validate
from pipeline.kubeflow.settings import ClusterConfig

MAKEFILE = (ROOT / "Makefile").read_text("utf-8")


def read_make(argv):
    for word in argv:
        name = word.partition("=")[0]
        assert re.search(rf"\b{name}\b", MAKEFILE), f"the Makefile has no {name}"
    subprocess.run(["make", "--dry-run", *argv], cwd=ROOT, stdout=subprocess.DEVNULL, check=True)


def read_python_code(argv):
    [code] = argv
    compile(code, "-c", "exec")


def read_paths(argv):
    assert all((ROOT / path).exists() for path in argv)


def read_local_runner(argv):
    given = parse(local_runner.Arguments, argv, local_runner.DIGITS)
    assert {given.from_node, given.to_node} <= {None, *given.config.nodes}


def read_compile(argv):
    parse(Compile, argv, kubeflow_runner.PRESET)


def reader(flags: type) -> Callable:
    """Of a program whose flags are a dataclass."""
    return lambda argv: tyro.cli(flags, args=argv, use_underscores=True)


def app_reader(app: tyro.extras.SubcommandApp) -> Callable:
    """Of a program whose commands are functions, which do nothing here."""

    def read(argv):
        with pytest.MonkeyPatch.context() as patch:
            for command in app._subcommands.values():
                patch.setattr(command, "target", functools.wraps(command.target)(lambda **_: None))
            app.cli(args=argv)

    return read


# Our programs: what reads their command line.
READERS = {
    "make": read_make,
    "pytest": read_paths,
    "python -c": read_python_code,
    "python local_runner.py": read_local_runner,
    "python kubeflow_runner.py compile": read_compile,
    "python kubeflow_runner.py submit": reader(Submit),
    "python kubeflow_runner.py validate": reader(Validate),
    "python -m dataprep": app_reader(dataprep.__main__.app),
    "python -m pipeline.output": app_reader(pipeline.output.app),
    "python -m pipeline.picture": read_paths,
    "python -m serving.batch": reader(serving.batch.Arguments),
    "python -m serving.client": reader(serving.command.Arguments),
    "python -m serving.demo": reader(serving.demo.Arguments),
    "python -m serving.export": reader(serving.export.Arguments),
    "python -m serving.versions": app_reader(serving.versions.app),
}
# Their commands: a test that runs them.
RUN_BY = {
    "make": "test_a_second_setup_does_nothing",
    "pytest": "test_the_tests_that_are_named_are_there",
    "python -c": "test_parameters_for_200_classes",
    "python local_runner.py": "test_default_run_pushes",
    "python kubeflow_runner.py compile": "test_the_same_flags_give_the_same_bytes",
    "python kubeflow_runner.py submit": "test_the_command_submits",
    "python kubeflow_runner.py validate": "test_validate_takes_what_compile_wrote",
    "python -m dataprep digits": "test_writes_digits_and_tells_the_next_command",
    "python -m dataprep image-folder": "test_writes_images_and_tells_what_was_left_out",
    "python -m dataprep inspect": "test_inspect_prints_tables_and_draws_a_contact_sheet",
    "python -m dataprep tfrecords": "test_folder_of_tensorflow_datasets_needs_no_flags",
    "python -m dataprep tiny-imagenet": "test_tiny_imagenets_next_command_has_its_preset",
    "python -m dataprep verify": "test_verify_of_a_good_data_set",
    "python -m pipeline.output clean": "test_clean_leaves_what_is_needed",
    "python -m pipeline.output status": "test_status_shows_runs_versions_champion_and_disk",
    "python -m pipeline.picture": "test_picture_is_the_dags",
    "python -m serving.batch": "test_batch_gives_the_servers_answers",
    "python -m serving.client": "test_command",
    "python -m serving.demo": "test_server",
    "python -m serving.export": "test_tflite_answers_as_the_model_does",
    "python -m serving.versions list": "test_list",
    "python -m serving.versions prune": "test_prune",
    "python -m serving.versions rollback": "test_rollback",
}
# Others' programs, and benchmarks: what it takes to run them, which a test has not.
NEEDS = {
    "aws": "a cluster",
    "curl": "Docker: a server",
    "docker": "Docker",
    "gcloud": "a cloud account",
    "kind": "Docker",
    "kubectl": "a cluster",
    "sudo": "a system of one's own",
    "tail": "a run",
    "tensorboard": "a run",
    "trivy": "Docker: an image",
    "xdg-open": "a screen",
}
BENCHMARKS = {
    f"python benchmarks/{file.name}": "minutes or hours" for file in ROOT.glob("benchmarks/*.py")
}

COMMANDS = [command for page in PAGES for command in shown_commands(page)]


def of(words, table):
    """The key of the table with which a command begins."""
    beginnings = (" ".join(words[:count]) for count in range(1, len(words) + 1))
    return next((text for text in beginnings if text in table), None)


@pytest.mark.parametrize(
    ("where", "words"),
    [pytest.param(*command, id=f"{command.where} {command.words[0]}") for command in COMMANDS],
)
def test_command_is_one_that_its_program_takes(where, words, capsys):
    assert of(words, {**RUN_BY, **NEEDS, **BENCHMARKS}), (
        f"{where}: nothing covers `{' '.join(words)}`. Is it spelled right? Then add it to "
        f"RUN_BY and READERS, or to NEEDS, of {__file__}"
    )
    if program := of(words, READERS):
        try:
            READERS[program](words[len(program.split()) :])
        except SystemExit as stop:
            if stop.code:  # it is 0 after --help
                pytest.fail(
                    f"{where}: {program} does not take this\n{capsys.readouterr().err}",
                    pytrace=False,
                )


def test_the_tests_that_are_named_are_there():
    tests = "".join(file.read_text("utf-8") for file in ROOT.glob("tests/**/test_*.py"))
    assert [name for name in RUN_BY.values() if tests.count(f"\ndef {name}(") != 1] == []


@pytest.mark.parametrize("table", [READERS, RUN_BY, NEEDS], ids=["READERS", "RUN_BY", "NEEDS"])
def test_no_row_is_of_a_command_that_no_page_has(table):
    assert {of(command.words, table) for command in COMMANDS} - {None} == set(table)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_fields_are_the_configs(page):
    sections = {field.name: field.type for field in fields(Config)} | {"cluster": ClusterConfig}
    known = {(name, field.name) for name, kind in sections.items() for field in fields(kind)}
    named = re.findall(r"--([a-z]+)\.([a-z_0-9]+)", page.read_text("utf-8"))
    assert [field for field in named if field not in known] == []
