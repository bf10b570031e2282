"""Flags with which no engine would run are refused, with what is to be typed."""

import shlex
import sys

import pytest
from engines import COMMAND, COMPLETE, DATAFLOW, EXTERNAL, IMAGE, ROOTS

from cli.beam_runners import RUNNERS
from pipeline.beam_options import beam_pipeline_args
from pipeline.command_line import RunnerArguments, parse
from pipeline.config import BeamConfig


def refusal(config: BeamConfig, image: str = "", roots: tuple[str, ...] = ()) -> str:
    with pytest.raises(ValueError) as error:
        beam_pipeline_args(config, image, roots)
    return str(error.value)


@pytest.mark.parametrize(
    ("runner", "flags", "missing"),
    [
        (
            "dataflow",
            (),
            ["--project=…", "--region=…", "--temp_location=gs://…", "--sdk_container_image=…"],
        ),
        ("dataflow", DATAFLOW, ["--sdk_container_image=…"]),
        ("flink", EXTERNAL, ["--flink_master=http://…"]),
        ("flink", ("--job_endpoint=", *EXTERNAL), ["--flink_master=http://…"]),
        (
            "flink",
            ("--flink_master=http://host:8081",),
            ["--environment_type=EXTERNAL", "--environment_config=localhost:50000"],
        ),
        (
            "flink",
            ("--job_endpoint=host:8099", "--environment_type=EXTERNAL"),
            ["--environment_config=localhost:50000"],
        ),
        (
            "flink",
            ("--job_endpoint=host:8099", "--environment_type=DOCKER"),
            ["--environment_config=registry/…"],
        ),
        (
            "spark",
            ("--job_endpoint=host:8099", "--environment_type=PROCESS"),
            [f"--environment_config={COMMAND}"],
        ),
        ("spark", EXTERNAL, ["--spark_rest_url=http://…"]),
    ],
)
def test_missing_flags_are_told_as_to_be_typed(runner, flags, missing):
    message = refusal(BeamConfig(runner, flags))
    start, _, typed = message.partition(", such as ")
    assert start == f"--beam.runner {runner} needs more"
    told = parse(RunnerArguments, shlex.split(typed), "digits").config.beam.args
    assert len(told) == len(missing)
    for flag, expected in zip(told, missing, strict=True):
        assert flag.startswith(expected.removesuffix("…"))


@pytest.mark.parametrize("runner", ["dataflow", "flink", "spark"])
def test_who_types_what_is_told_ends_with_flags_that_are_accepted(runner):
    config = BeamConfig(runner)
    for _ in range(5):
        try:
            assert beam_pipeline_args(config, roots=ROOTS)
            break
        except ValueError as error:
            typed = shlex.split(str(error).partition(", such as ")[2])
        more = parse(RunnerArguments, typed, "digits").config.beam.args
        config = BeamConfig(runner, (*config.args, *more))
    else:
        pytest.fail(f"never accepted: {config}")


@pytest.mark.parametrize("runner", ["dataflow", "flink", "spark"])
@pytest.mark.parametrize(
    "root", ["/data", "output/digits", "s3://b/x", "minio://b/x", "hdfs://h/x"]
)
def test_folder_that_workers_cannot_read_is_refused(runner, root):
    [complete] = [config for config in COMPLETE if config.runner == runner][:1]
    message = refusal(complete, IMAGE, ("gs://bucket/data", root))
    assert message.startswith(f"{root}: cannot be read by the workers of --beam.runner {runner}")
    assert ("--beam.shared_folders True" in message) == (runner != "dataflow")


def test_folders_that_workers_share_are_told_by_a_flag():
    shared = BeamConfig("flink", ("--job_endpoint=host:8099", *EXTERNAL), shared_folders=True)
    assert beam_pipeline_args(shared, roots=("/data", "gs://bucket/root"))
    assert "minio://b/x" in refusal(shared, roots=("/data", "minio://b/x"))
    dataflow = BeamConfig("dataflow", DATAFLOW, shared_folders=True)
    assert "/data" in refusal(dataflow, IMAGE, roots=("/data",))


def test_temporary_files_of_dataflow_are_in_cloud_storage():
    local = (*DATAFLOW[:2], "--temp_location=/tmp/beam")
    assert refusal(BeamConfig("dataflow", local), IMAGE).startswith("/tmp/beam: cannot be read")


def test_any_folder_will_do_in_this_process():
    assert beam_pipeline_args(BeamConfig(), roots=("/data", "s3://b/x"))


@pytest.mark.parametrize(
    ("runner", "flag", "near"),
    [
        ("local", "--direct_num_worker=2", "--direct_num_workers"),
        ("dataflow", "--max_num_worker=8", "--max_num_workers"),
        ("dataflow", "--zzz", None),
    ],
)
def test_flag_that_beam_would_pass_over_is_refused_with_the_near_name(runner, flag, near):
    config = BeamConfig(runner, (*DATAFLOW, flag))
    hint = f" Did you mean {near}?" if near else ""
    name = flag.partition("=")[0]
    assert refusal(config, IMAGE) == f"Beam knows no flag {name}.{hint}"


@pytest.mark.parametrize(
    ("flag", "told"),
    [
        ("--direct_num_workers=two", "argument --direct_num_workers: invalid int value: 'two'"),
        ("--direct_running_mode=fast", "argument --direct_running_mode: invalid choice: 'fast' ("),
        ("--max_num_workers", "argument --max_num_workers: expected one argument"),
    ],
)
def test_value_that_beam_does_not_take_is_told_without_all_its_flags(capsys, flag, told):
    assert refusal(BeamConfig(args=(flag,)), IMAGE).startswith(f"`beam.args`: {told}")
    assert capsys.readouterr().err == ""


def test_flags_of_the_job_servers_pass():
    args = ("--job_endpoint=host:8099", *EXTERNAL, "--object_reuse=true")
    assert "--object_reuse=true" in beam_pipeline_args(BeamConfig("flink", args))


@pytest.mark.parametrize(
    ("arg", "message"),
    [
        ("--region", None),  # a flag without a value is one as well: --no_use_public_ips
        ("europe-west4", "`beam.args` must be as in --beam.args=--region=europe-west4"),
        ("-region=x", "`beam.args` must be as in"),
        ("--", "`beam.args` must be as in"),
        ("--runner=FlinkRunner", "give --beam.runner, one of local, dataflow, flink, spark"),
        ("--environment_type=LOOPBACK", "must be one of EXTERNAL, PROCESS, DOCKER. Received: LOO"),
    ],
)
def test_malformed_and_contradicting_flags_are_refused(arg, message):
    config = BeamConfig("flink", ("--job_endpoint=host:8099", *EXTERNAL, arg))
    if message is None:
        assert arg in beam_pipeline_args(config)
    else:
        assert message in refusal(config)


@pytest.mark.parametrize("runner", ["FlinkRunner", "Flink", "DirectRunner"])
def test_engines_have_one_name_each(capsys, runner):
    with pytest.raises(SystemExit) as exit_info:
        parse(RunnerArguments, ["--beam.runner", runner], "digits")
    assert exit_info.value.code == 2
    told = capsys.readouterr().err
    assert all(name in told for name in (runner, *RUNNERS))


def test_workers_that_would_never_start_are_refused(monkeypatch):
    """Beam gives the interpreter's path to a shell, without quotes."""
    config = BeamConfig(args=("--direct_running_mode=multi_processing", "--direct_num_workers=2"))
    monkeypatch.setattr(sys, "executable", "/home/me/projects/.venv/bin/python")
    beam_pipeline_args(config)
    monkeypatch.setattr(sys, "executable", "/home/me/my projects/.venv/bin/python")
    with pytest.raises(ValueError, match="whose path has a space"):
        beam_pipeline_args(config)
