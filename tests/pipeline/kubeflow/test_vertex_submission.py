"""submit to Vertex AI: what it is given, and what is told of its refusal and of wrong flags."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from compiling import ROOT, compiled
from google.cloud import aiplatform

from pipeline.target import Target


@pytest.fixture(scope="module")
def vertex_file(tmp_path_factory) -> Path:
    file = tmp_path_factory.mktemp("vertex") / "pipeline.json"
    file.write_text(compiled(Target.VERTEX).to_text(), "utf-8")
    return file


@pytest.fixture
def vertex(monkeypatch) -> SimpleNamespace:
    """What Vertex AI's PipelineJob was made with, and submitted with; `refusal` is raised."""
    seen = SimpleNamespace(made={}, submitted={}, refusal=None)

    class PipelineJob:
        resource_name = "projects/1/locations/europe-west4/pipelineJobs/run-1"

        def __init__(self, **arguments: object) -> None:
            seen.made = arguments

        def submit(self, **arguments: object) -> None:
            if seen.refusal:
                raise seen.refusal
            seen.submitted = arguments

    monkeypatch.setattr(aiplatform, "PipelineJob", PipelineJob)
    return seen


PLACE = ("--project", "mine", "--region", "europe-west4")


def test_vertex_ai_gets_the_file_and_just_the_given_parameters(vertex, vertex_file, command):
    flags = [vertex_file, "--service-account", "a@b", "--run-name", "first"]
    code, screen, errors = command("submit", *PLACE, *flags, "--trainer.epochs", "3")
    assert (code, errors) == (0, "")
    assert screen == "started projects/1/locations/europe-west4/pipelineJobs/run-1\n"
    assert vertex.made == {
        "display_name": "first",
        "template_path": str(vertex_file),
        "pipeline_root": ROOT,
        "parameter_values": {"epochs": 3},
        "project": "mine",
        "location": "europe-west4",
    }
    assert vertex.submitted == {"service_account": "a@b", "create_request_timeout": 120.0}


def test_vertex_ais_refusal_is_told_in_one_line(vertex, vertex_file, command):
    vertex.refusal = RuntimeError("403 Permission\n denied")
    code, screen, errors = command("submit", *PLACE, vertex_file)
    assert (code, screen) == (1, "")
    assert errors == "error: Vertex AI, project mine, europe-west4: 403 Permission denied\n"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["submit"], "is for Vertex AI, which needs --project and --region"),
        (["submit", "--host", "http://x"], "is for Vertex AI, which needs --project"),
        (["submit", *PLACE, "--data", "s3://b/d"], "--data s3://b/d: the cluster does not see"),
        (["submit", *PLACE, "--pipeline-root", "minio://b/r"], "must begin with gs://"),
        (["upload", "--version", "v", "--host", "http://x"], "for Vertex AI, which keeps none"),
    ],
)
def test_what_vertex_ai_has_not_is_a_usage_error(vertex, vertex_file, command, arguments, told):
    code, _, errors = command(*arguments, vertex_file)
    assert code == 2
    assert told in errors
    assert vertex.made == {}
