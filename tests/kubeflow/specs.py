"""Hand-written pipelines for the emulator's own tests."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

# A task's code is given this before it.
_PRELUDE = """
import json, os, sys
from pathlib import Path
given = json.loads(sys.argv[1])
def path(uri):
    scheme, rest = uri.split("://")
    return Path({"minio": "/minio", "s3": "/s3", "gs": "/gcs"}[scheme], rest)
def artifact(side, key):
    return given[side]["artifacts"][key]["artifacts"][0]
def read(key):
    return path(artifact("inputs", key)["uri"])
def write(key):
    return path(artifact("outputs", key)["uri"])
def parameter(name):
    return given["inputs"]["parameterValues"][name]
def tell(**output):
    file = Path(given["outputs"]["outputFile"])
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(output))
"""


def task(
    code: str = "",
    *,
    takes: Mapping[str, tuple[str, str]] | None = None,
    parameters: Mapping[str, tuple[str, Mapping[str, Any]]] | None = None,
    gives: tuple[str, ...] = (),
    gives_parameters: Mapping[str, str] | None = None,
    command: list[str] | None = None,
    **more: Any,
) -> dict[str, Any]:
    """Returns a task and its component and executor.

    Args:
        code: Python; `given` is the ExecutorInput, and see `_PRELUDE`.
        takes: Input artifacts: producer and its key.
        parameters: Input parameters: type, and where from as in the specification.
        gives: Keys of output artifacts.
        gives_parameters: Output parameters and their types.
        command: Instead of Python.
        more: Of the task's specification, such as `retryPolicy`; `env` is the container's.
    """
    takes, parameters = takes or {}, parameters or {}
    outputs = {
        "artifacts": {
            key: {
                "artifactType": {"instanceSchema": f"title: tfx.{key.capitalize()}\ntype: object\n"}
            }
            for key in gives
        },
        "parameters": {
            name: {"parameterType": kind} for name, kind in (gives_parameters or {}).items()
        },
    }
    inputs = {
        "artifacts": {key: {"artifactType": {"instanceSchema": "title: t"}} for key in takes},
        "parameters": {name: {"parameterType": kind} for name, (kind, _) in parameters.items()},
    }
    container = {
        "image": "image@sha256:1",
        "command": command or [sys.executable, "-c", _PRELUDE + code],
        "args": ["{{$}}"],
        "env": [{"name": name, "value": value} for name, value in more.pop("env", {}).items()],
    }
    spec = {
        "inputs": {
            "artifacts": {
                key: {"taskOutputArtifact": {"producerTask": producer, "outputArtifactKey": theirs}}
                for key, (producer, theirs) in takes.items()
            },
            "parameters": {name: source for name, (_, source) in parameters.items()},
        },
        "dependentTasks": sorted({producer for producer, _ in takes.values()}),
        **more,
    }
    return {
        "spec": spec,
        "component": {"inputDefinitions": inputs, "outputDefinitions": outputs},
        "executor": {"container": container},
    }


def importer(uri: Mapping[str, str], gives: str, **more: Any) -> dict[str, Any]:
    """Returns a task that imports what is at a URI, with its component and executor."""
    schema = {"instanceSchema": "title: tfx.Examples\ntype: object\n"}
    return {
        "spec": more,
        "component": {"outputDefinitions": {"artifacts": {gives: {"artifactType": schema}}}},
        "executor": {"importer": {"artifactUri": dict(uri), "typeSchema": schema}},
    }


def pipeline(
    tasks: Mapping[str, Mapping[str, Any]], parameters: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Returns a pipeline's specification.

    Args:
        tasks: By name, made by `task` and `importer`.
        parameters: The root's, as in the specification.
    """
    named = {
        name: {
            "taskInfo": {"name": name},
            "componentRef": {"name": f"comp-{name}"},
            **parts["spec"],
        }
        for name, parts in tasks.items()
    }
    components = {
        f"comp-{name}": {"executorLabel": f"exec-{name}", **parts["component"]}
        for name, parts in tasks.items()
    }
    executors = {f"exec-{name}": parts["executor"] for name, parts in tasks.items()}
    return {
        "schemaVersion": "2.1.0",
        "pipelineInfo": {"name": "hand-written"},
        "root": {"dag": {"tasks": named}, "inputDefinitions": {"parameters": parameters or {}}},
        "components": components,
        "deploymentSpec": {"executors": executors},
    }


def platforms(**executors: Any) -> dict[str, Any]:
    """Returns a platforms document: settings by the name of the task."""
    labelled = {f"exec-{name}": config for name, config in executors.items()}
    return {"platforms": {"kubernetes": {"deploymentSpec": {"executors": labelled}}}}


def write(file: Path, *documents: Mapping[str, Any]) -> Path:
    """Writes documents as one YAML file and returns it."""
    file.write_text(yaml.safe_dump_all(documents), encoding="utf-8")
    return file
