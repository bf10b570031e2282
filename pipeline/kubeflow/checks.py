"""What a compiled pipeline must keep to, for the target to carry it out."""

import re
from collections.abc import Iterator
from typing import Any

from google.protobuf import json_format, message
from kfp.pipeline_spec import pipeline_spec_pb2

from pipeline.kubeflow.package import Package
from pipeline.target import Target

SCHEMA_VERSION = "2.1.0"  # the one that Kubeflow Pipelines reads
RUNNABLE = {
    Target.KFP: {"container", "importer"},
    Target.VERTEX: {"container", "importer", "resolver"},
}
NODE_ID = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?")  # Argo's names of tasks


def faults(package: Package) -> list[str]:
    """What is wrong with a package; empty if nothing is."""
    try:
        spec = _parsed(package.spec, pipeline_spec_pb2.PipelineSpec())
        deployment = _parsed(
            spec.get("deploymentSpec", {}), pipeline_spec_pb2.PipelineDeploymentConfig()
        )
        platforms = _parsed(package.platforms, pipeline_spec_pb2.PlatformSpec())
    except json_format.ParseError as error:
        return [f"not a PipelineSpec: {' '.join(str(error).split())}"]
    executors = deployment.get("executors", {})
    found = (
        _schema_faults(spec),
        _task_faults(spec),
        _component_faults(spec, executors),
        _executor_faults(executors, platforms, package.target),
        _parameter_faults(spec),
    )
    return [fault for group in found for fault in sorted(group)]


def _parsed(fields: Any, proto: message.Message) -> dict[str, Any]:
    """The fields without those that are not set; raises ParseError if they are not `proto`'s."""
    return json_format.MessageToDict(json_format.ParseDict(fields, proto))


def _schema_faults(spec: dict[str, Any]) -> Iterator[str]:
    version = spec.get("schemaVersion")
    if version != SCHEMA_VERSION:
        yield f"schemaVersion is {version}, not {SCHEMA_VERSION}"


def _task_faults(spec: dict[str, Any]) -> Iterator[str]:
    """Tasks whose names Argo refuses, and what they name that is not there."""
    tasks = spec.get("root", {}).get("dag", {}).get("tasks", {})
    if not tasks:
        yield "there are no tasks"
    for name, task in tasks.items():
        if not NODE_ID.fullmatch(name):
            yield f"task {name}: only letters, digits and - may be in its name"
        component = task.get("componentRef", {}).get("name", "")
        if component not in spec.get("components", {}):
            yield f"task {name}: there is no component {component or '(none is named)'}"
        for producer in _producers(task) - tasks.keys():
            yield f"task {name}: there is no task {producer}, whose output it takes"


def _producers(task: dict[str, Any]) -> set[str]:
    inputs = task.get("inputs", {})
    sources = [*inputs.get("artifacts", {}).values(), *inputs.get("parameters", {}).values()]
    outputs = (output for source in sources for output in source.values())
    named = {o["producerTask"] for o in outputs if isinstance(o, dict) and "producerTask" in o}
    return named | set(task.get("dependentTasks", []))


def _component_faults(spec: dict[str, Any], executors: dict[str, Any]) -> Iterator[str]:
    for name, component in spec.get("components", {}).items():
        label = component.get("executorLabel", "(none is named)")
        if label not in executors and "dag" not in component:
            yield f"component {name}: there is no executor {label}"


def _executor_faults(
    executors: dict[str, Any], platforms: dict[str, Any], target: Target
) -> Iterator[str]:
    for label, executor in executors.items():
        for kind in executor.keys() - RUNNABLE[target]:
            yield f"executor {label}: {target.value} cannot carry out a {kind}"
    for platform in platforms.get("platforms", {}).values():
        pods = platform.get("deploymentSpec", {}).get("executors", {})
        for label in pods.keys() - executors.keys():
            yield f"the platforms document has settings for {label}, which is no executor"


def _parameter_faults(spec: dict[str, Any]) -> Iterator[str]:
    parameters = spec.get("root", {}).get("inputDefinitions", {}).get("parameters", {})
    for name, parameter in parameters.items():
        if "defaultValue" not in parameter:
            yield f"the run's parameter {name} has no default"
