import contextlib
import json
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import apache_beam as beam
import pytest
from apache_beam.options import pipeline_options
from apache_beam.options.pipeline_options import PipelineOptions, WorkerOptions
from apache_beam.options.pipeline_options_validator import PipelineOptionsValidator
from apache_beam.runners.dataflow.internal import apiclient
from apache_beam.runners.runner import create_runner
from apache_beam.transforms.environments import (
    DockerEnvironment,
    Environment,
    ExternalEnvironment,
    ProcessEnvironment,
)
from commands import ROOT, run
from pages import shown_commands
from tfx.utils import dependency_utils

from cli.beam_runners import RUNNERS
from components.ingest.report import read_report
from pipeline.beam_options import WORKERS_HAVE_TFX, beam_pipeline_args
from pipeline.command_line import RunnerArguments, parse
from pipeline.config import BeamConfig

IMAGE = "registry/fishnet@sha256:0123"
ROOTS = ("gs://bucket/data", "gs://bucket/root")

DATAFLOW = ("--project=my-project", "--region=europe-west4", "--temp_location=gs://bucket/tmp")
EXTERNAL = ("--environment_type=EXTERNAL", "--environment_config=localhost:50000")
COMMAND = '{"command": "/opt/apache/beam/boot"}'

# Each with all that it needs, given an image.
COMPLETE = [
    BeamConfig(),
    BeamConfig("dataflow", DATAFLOW),
    BeamConfig("flink", ("--job_endpoint=host:8099", *EXTERNAL)),
    BeamConfig("flink", ("--flink_master=http://host:8081", *EXTERNAL)),
    BeamConfig("flink", ("--job_endpoint=host:8099", "--environment_type=DOCKER")),
    BeamConfig("spark", ("--job_endpoint=host:8099", *EXTERNAL)),
    BeamConfig("spark", ("--spark_rest_url=http://host:6066", *EXTERNAL)),
]


def options_of(config: BeamConfig, image: str = IMAGE) -> PipelineOptions:
    """What Beam makes of the flags."""
    return PipelineOptions(beam_pipeline_args(config, image, ROOTS))


def refusal(config: BeamConfig, image: str = "", roots: tuple[str, ...] = ()) -> str:
    with pytest.raises(ValueError) as error:
        beam_pipeline_args(config, image, roots)
    return str(error.value)


# ---- what Beam makes of the flags


@pytest.mark.parametrize("config", COMPLETE, ids=lambda config: config.runner)
def test_beam_knows_every_flag_and_takes_the_right_runner(config):
    flags = beam_pipeline_args(config, IMAGE, ROOTS)
    known = PipelineOptions([]).get_all_options()
    given = PipelineOptions(flags).get_all_options(retain_unknown_options=True)
    assert set(given) == set(known)
    expected = {"local": "FnApiRunner"}.get(config.runner, f"{config.runner.title()}Runner")
    assert type(create_runner(given["runner"])).__name__ == expected
    # each flag arrived: those which were not given have Beam's defaults
    names = {flag.removeprefix("--").partition("=")[0] for flag in flags}
    assert {name for name in given if given[name] != known[name]} == names


@pytest.mark.parametrize("config", COMPLETE, ids=lambda config: config.runner)
def test_beams_own_checks_pass(monkeypatch, config):
    # It asks Cloud Storage about the bucket.
    google = pipeline_options.GoogleCloudOptions
    monkeypatch.setattr(google, "_warn_if_soft_delete_policy_enabled", lambda *_: None)
    options = options_of(config)
    runner = create_runner(RUNNERS[config.runner])
    assert PipelineOptionsValidator(options, runner).validate() == []


@pytest.mark.parametrize("config", COMPLETE, ids=lambda config: config.runner)
def test_tfx_makes_no_package_of_itself(monkeypatch, config):
    def build() -> None:
        raise AssertionError("TFX packs itself")

    monkeypatch.setattr(dependency_utils, "build_ephemeral_package", build)
    flags = beam_pipeline_args(config, IMAGE, ROOTS)
    assert dependency_utils.make_beam_dependency_flags(flags) == flags


@pytest.mark.parametrize("runner", ["flink", "spark"])
@pytest.mark.parametrize(
    ("flags", "environment"),
    [
        (["--environment_type=DOCKER"], DockerEnvironment(container_image=IMAGE)),
        (
            ["--environment_type=DOCKER", "--sdk_container_image=other"],
            DockerEnvironment(container_image="other"),
        ),
        (
            ["--environment_type=DOCKER", "--environment_config=another"],
            DockerEnvironment(container_image="another"),
        ),
        (EXTERNAL, ExternalEnvironment("localhost:50000")),
        (
            ["--environment_type=PROCESS", f"--environment_config={COMMAND}"],
            ProcessEnvironment("/opt/apache/beam/boot"),
        ),
    ],
)
def test_workers_of_a_cluster_start_as_told(runner, flags, environment):
    made = Environment.from_options(
        options_of(BeamConfig(runner, ("--job_endpoint=host:8099", *flags)))
    )
    # equality itself looks at what they are capable of, too
    assert made.to_runner_api_parameter(None) == environment.to_runner_api_parameter(None)


def test_dataflow_job_has_our_image_account_and_machines():
    dry = ("--dry_run=True", "--no_auth", "--dataflow_endpoint=http://localhost:1")
    config = BeamConfig(
        "dataflow",
        (
            *DATAFLOW,
            "--service_account_email=beam@my-project.iam.gserviceaccount.com",
            "--machine_type=n2-standard-4",
            "--max_num_workers=8",
            "--disk_size_gb=50",
            "--no_use_public_ips",
            "--experiments=no_use_multiple_sdk_containers",
            *dry,
        ),
    )
    pipeline = beam.Pipeline(options=options_of(config))
    _ = pipeline | beam.Create([1]) | beam.Map(str)
    job = pipeline.run().job
    job.proto.environment = apiclient.Environment(
        packages=[],
        proto_pipeline_staged_url="",
        options=job.options,
        environment_version="",
        proto_pipeline=job.proto_pipeline,
    ).proto
    environment = json.loads(job.json())["environment"]  # the message's class is Beam's version's
    [pool] = environment["workerPools"]
    [container] = pool["sdkHarnessContainerImages"]
    assert container["containerImage"] == pool["workerHarnessContainerImage"] == IMAGE
    assert "no_use_multiple_sdk_containers" in environment["experiments"]
    assert pool["machineType"] == "n2-standard-4"
    assert pool["autoscalingSettings"]["maxNumWorkers"] == 8
    assert pool["diskSizeGb"] == 50
    assert pool["ipConfiguration"] == "WORKER_IP_PRIVATE"
    assert environment["serviceAccountEmail"] == "beam@my-project.iam.gserviceaccount.com"
    assert (job.google_cloud_options.project, job.google_cloud_options.region) == (
        "my-project",
        "europe-west4",
    )


def test_image_of_a_flag_goes_before_that_of_the_task():
    config = BeamConfig("dataflow", (*DATAFLOW, "--sdk_container_image=other"))
    assert options_of(config).view_as(WorkerOptions).sdk_container_image == "other"
    assert options_of(config, "").view_as(WorkerOptions).sdk_container_image == "other"


@pytest.mark.parametrize(
    ("runner", "master"),
    [("flink", "--flink_master=http://host:8081"), ("spark", "--spark_rest_url=http://host:6066")],
)
def test_one_jar_is_submitted_unless_there_is_a_job_server(runner, master):
    name = f"{runner}_submit_uber_jar"
    for flags, expected in ([master], True), (["--job_endpoint=host:8099"], False):
        options = options_of(BeamConfig(runner, (*flags, *EXTERNAL)))
        assert options.get_all_options()[name] is expected


def test_tfx_makes_none_without_an_image_either():
    config = BeamConfig("flink", ("--job_endpoint=host:8099", *EXTERNAL))
    assert options_of(config, "").view_as(WorkerOptions).sdk_container_image == WORKERS_HAVE_TFX


# ---- what is refused


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


def test_nothing_heavy_is_imported():
    code = (
        "import sys\n"
        "from pipeline.beam_options import beam_pipeline_args\n"
        "from pipeline.config import BeamConfig\n"
        "beam_pipeline_args(BeamConfig())\n"
        f"beam_pipeline_args(BeamConfig('flink', ('--job_endpoint=h:1', *{EXTERNAL})))\n"
        "print({'apache_beam', 'tfx'} & set(sys.modules))\n"
        f"beam_pipeline_args(BeamConfig('dataflow', {DATAFLOW}), 'image')\n"
        "print({'tensorflow', 'tfx'} & set(sys.modules))\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (ran.stdout, ran.stderr) == ("set()\nset()\n", "")


# ---- the documentation


def test_flags_in_the_documentation_are_accepted_as_they_stand(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/home/me/.venv/bin/python")
    seen = set()
    for _, words in shown_commands(ROOT / "docs" / "beam.md"):
        flags = [word for word in words if word.startswith("--beam.args=")]
        if "--beam.runner" in words:
            at = words.index("--beam.runner")
            flags += words[at : at + 2]
        config = parse(RunnerArguments, flags, "digits").config.beam
        image = IMAGE if "--image" in words else ""
        roots = ROOTS if "--pipeline-root" in words else ("/data",)
        given = beam_pipeline_args(config, image, roots)
        options = PipelineOptions(given).get_all_options(retain_unknown_options=True)
        assert set(options) == set(PipelineOptions([]).get_all_options())
        seen.add(config.runner)
    assert seen == set(RUNNERS)


# ---- for real


def free_port() -> int:
    with socket.socket() as bound:
        bound.bind(("localhost", 0))
        return bound.getsockname()[1]


@contextlib.contextmanager
def server(module: str, *arguments: str, log: Path, port: int) -> Iterator[None]:
    """A server of Beam's in a process of its own, from when it answers on `port`."""
    # A pool starts its workers by `python`.
    path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    env = {"PATH": path, "PYTHONPATH": str(ROOT), "HOME": str(log.parent)}
    command = [sys.executable, "-m", f"apache_beam.runners.{module}", *arguments]
    with log.open("w") as output:
        process = subprocess.Popen(command, env=env, stdout=output, stderr=subprocess.STDOUT)
    try:
        for _ in range(600):
            with contextlib.suppress(OSError), socket.create_connection(("localhost", port), 1):
                break
            time.sleep(0.1)
        yield
    finally:
        process.terminate()
        process.wait(30)


@pytest.mark.slow
def test_components_run_on_a_job_server_with_a_pool_of_workers(tmp_path):
    """As on Flink: but that the job server is Beam's own in Python, and all is on one machine."""
    jobs, pool = free_port(), free_port()
    pool_log = tmp_path / "pool.log"
    with (
        server(
            "portability.local_job_service_main",
            f"--port={jobs}",
            log=tmp_path / "jobs.log",
            port=jobs,
        ),
        server("worker.worker_pool_main", f"--service_port={pool}", log=pool_log, port=pool),
    ):
        ended = run(
            tmp_path,
            *("--to", "Transform", "--beam.runner", "flink", "--beam.shared_folders", "True"),
            f"--beam.args=--job_endpoint=localhost:{jobs}",
            "--beam.args=--environment_type=EXTERNAL",
            f"--beam.args=--environment_config=localhost:{pool}",
        )
    assert (ended.exit_code, ended.errors) == (0, ""), ended.screen
    workers = pool_log.read_text().count("Starting worker with command")
    assert workers == 3, "ImportExampleGen, StatisticsGen, Transform"
    artifacts = ended.output / "artifacts"
    [folder] = artifacts.glob("ImportExampleGen/report/*")
    report = read_report(str(folder))
    assert (report.good("train"), report.good("val"), report.faults) == (1437, 360, {})
    assert len(list(artifacts.glob("Transform/transform_graph/*/transform_fn/saved_model.pb"))) == 1
    assert len(list(artifacts.glob("StatisticsGen/statistics/*/Split-*/FeatureStats.pb"))) == 2


def test_workers_that_would_never_start_are_refused(monkeypatch):
    """Beam gives the interpreter's path to a shell, without quotes."""
    config = BeamConfig(args=("--direct_running_mode=multi_processing", "--direct_num_workers=2"))
    monkeypatch.setattr(sys, "executable", "/home/me/projects/.venv/bin/python")
    beam_pipeline_args(config)
    monkeypatch.setattr(sys, "executable", "/home/me/my projects/.venv/bin/python")
    with pytest.raises(ValueError, match="whose path has a space"):
        beam_pipeline_args(config)
