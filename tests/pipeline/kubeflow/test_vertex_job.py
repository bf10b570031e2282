"""Vertex AI's file is taken by google-cloud-aiplatform, and goes into its request unchanged."""

from pathlib import Path
from typing import Any

import pytest
from compiling import ROOT, compiled
from google.auth.credentials import AnonymousCredentials
from google.cloud import aiplatform

from pipeline.kubeflow.settings import DEFAULT_RESOURCES, ClusterConfig, Resources
from pipeline.target import Target

pytestmark = pytest.mark.slow  # they import Google's client library

PARAMETERS = {
    "data": "gs://other/data",
    "push_destination": "gs://other/serving",
    "epochs": 3,
    "learning_rate": 0.5,
}


@pytest.fixture(scope="module")
def file(tmp_path_factory) -> Path:
    cluster = ClusterConfig(resources=DEFAULT_RESOURCES | {"Trainer": Resources(gpus=4)})
    file = tmp_path_factory.mktemp("vertex") / "pipeline.json"
    file.write_text(compiled(Target.VERTEX, cluster).to_text(), "utf-8")
    return file


def loaded(file: Path, **arguments: Any) -> dict[str, Any]:
    """The request that PipelineJob makes of the file; needs no network."""
    job = aiplatform.PipelineJob(
        display_name="run",
        template_path=str(file),
        project="project",
        location="europe-west4",
        credentials=AnonymousCredentials(),
        **arguments,
    )
    return job.to_dict()


def test_the_spec_reaches_the_request_whole(file):
    spec = loaded(file)["pipelineSpec"]
    cluster = ClusterConfig(resources=DEFAULT_RESOURCES | {"Trainer": Resources(gpus=4)})
    assert spec == compiled(Target.VERTEX, cluster).spec


def test_resolver_lifecycle_and_gpus_are_in_the_request(file):
    executors = loaded(file)["pipelineSpec"]["deploymentSpec"]["executors"]
    query = executors["Champion-model-resolver_executor"]["resolver"]["outputArtifactQueries"]
    assert "tfx.Model" in query["model"]["filter"]
    lifecycle = executors["ImportExampleGen_executor"]["container"]["lifecycle"]
    assert (
        "tfx.orchestration.kubeflow.v2.file_based_example_gen.driver"
        in (lifecycle["preCacheCheck"]["command"])
    )
    accelerator = executors["Trainer_executor"]["container"]["resources"]["accelerator"]
    assert accelerator == {"type": "NVIDIA_TESLA_T4", "count": "4"}


def test_parameters_keep_value_and_type(file):
    assert loaded(file, parameter_values=PARAMETERS)["runtimeConfig"] == {
        "gcsOutputDirectory": ROOT,
        "parameterValues": PARAMETERS,
    }


def test_a_run_may_have_no_parameters_and_another_root(file):
    assert loaded(file, pipeline_root="gs://other/root")["runtimeConfig"] == {
        "gcsOutputDirectory": "gs://other/root"
    }


def test_an_unknown_parameter_is_refused(file):
    with pytest.raises(ValueError, match="batch_size"):
        loaded(file, parameter_values={"batch_size": 1})
