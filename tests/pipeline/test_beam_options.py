"""What Beam makes of the flags that it is given, and of those in the documentation."""

import json
import subprocess
import sys

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
from commands import ROOT
from engines import COMMAND, COMPLETE, DATAFLOW, EXTERNAL, IMAGE, ROOTS
from pages import shown_commands
from tfx.utils import dependency_utils

from cli.beam_runners import RUNNERS
from pipeline.beam_options import WORKERS_HAVE_TFX, beam_pipeline_args
from pipeline.command_line import RunnerArguments, parse
from pipeline.config import BeamConfig


def options_of(config: BeamConfig, image: str = IMAGE) -> PipelineOptions:
    """What Beam makes of the flags."""
    return PipelineOptions(beam_pipeline_args(config, image, ROOTS))


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
