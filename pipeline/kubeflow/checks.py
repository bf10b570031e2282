"""What a compiled pipeline must keep to, for the target to carry it out."""

import graphlib
import math
import re
import reprlib
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
# What a task's input of each kind may come from: a task and its output, or the run.
SOURCES = {
    "artifact": ("taskOutputArtifact", "outputArtifactKey", "componentInputArtifact"),
    "parameter": ("taskOutputParameter", "outputParameterKey", "componentInputParameter"),
}


def faults(package: Package) -> list[str]:
    """What is wrong with a package; empty if nothing is."""
    try:
        if endless := [*_not_finite(package.spec, "")]:
            return endless
        spec = _parsed(package.spec, pipeline_spec_pb2.PipelineSpec())
        deployment = _parsed(
            spec.get("deploymentSpec", {}), pipeline_spec_pb2.PipelineDeploymentConfig()
        )
        platforms = _parsed(package.platforms, pipeline_spec_pb2.PlatformSpec())
    except (json_format.ParseError, RecursionError) as error:  # an alias in YAML may hold itself
        return [f"not a PipelineSpec: {' '.join(str(error).split())}"]
    executors = deployment.get("executors", {})
    found = (
        _schema_faults(spec),
        _task_faults(spec),
        _input_faults(spec),
        _cycle_faults(spec),
        _component_faults(spec, executors),
        _executor_faults(executors, platforms, package.target),
        _parameter_faults(spec),
    )
    return [fault for group in found for fault in sorted(group)]


def _parsed(fields: Any, proto: message.Message) -> dict[str, Any]:
    """The fields without those that are not set; raises ParseError if they are not `proto`'s."""
    return json_format.MessageToDict(json_format.ParseDict(fields, proto))


def _not_finite(value: Any, path: str) -> Iterator[str]:
    """The numbers that no message carries."""
    if isinstance(value, float) and not math.isfinite(value):
        yield f"{path} is {value}, a number that JSON does not have"
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _not_finite(inner, f"{path}.{key}".lstrip("."))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _not_finite(inner, f"{path}[{index}]")


def _schema_faults(spec: dict[str, Any]) -> Iterator[str]:
    version = spec.get("schemaVersion")
    if version != SCHEMA_VERSION:
        yield f"schemaVersion is {version}, not {SCHEMA_VERSION}"
    if not spec.get("pipelineInfo", {}).get("name"):
        yield "pipelineInfo.name is missing"


def _task_faults(spec: dict[str, Any]) -> Iterator[str]:
    """Tasks whose names Argo refuses, and what they name that is not there."""
    tasks = _tasks(spec)
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


def _tasks(spec: dict[str, Any]) -> dict[str, Any]:
    return spec.get("root", {}).get("dag", {}).get("tasks", {})


def _component(spec: dict[str, Any], task: dict[str, Any]) -> dict[str, Any]:
    name = task.get("componentRef", {}).get("name", "")
    return spec.get("components", {}).get(name, {})


def _input_faults(spec: dict[str, Any]) -> Iterator[str]:
    """Inputs of tasks that come from nowhere."""
    for name, task in _tasks(spec).items():
        for kind in SOURCES:
            inputs = task.get("inputs", {}).get(f"{kind}s", {})
            given = {key for key, source in inputs.items() if source}
            for missing in _required(_component(spec, task), kind) - given:
                yield f"task {name}: it is not given its {kind} {missing}"
            for key in given:
                for fault in _source_faults(spec, kind, inputs[key]):
                    yield f"task {name}: {fault}, which is to be its {kind} {key}"


def _required(component: dict[str, Any], kind: str) -> set[str]:
    """The inputs that a task of the component must be given."""
    return {
        name
        for name, definition in _declared(component, "inputDefinitions", kind).items()
        if not definition.get("isOptional") and "defaultValue" not in definition
    }


def _source_faults(spec: dict[str, Any], kind: str, source: dict[str, Any]) -> Iterator[str]:
    """What an input of a task comes from, if it is not declared."""
    from_task, output_key, from_run = SOURCES[kind]
    if from_task in source:
        producer = source[from_task].get("producerTask", "")
        output = source[from_task].get(output_key, "(none is named)")
        if not producer:
            yield f"no producerTask is named for output {kind} {output}"
        elif producer in _tasks(spec):
            component = _component(spec, _tasks(spec)[producer])
            # Of a component that is missing, `_task_faults` tells.
            if component and output not in _declared(component, "outputDefinitions", kind):
                yield f"task {producer} has no output {kind} {output}"
    if from_run in source:
        wanted = source[from_run]
        if wanted not in _declared(spec.get("root", {}), "inputDefinitions", kind):
            yield f"the run has no {kind} {wanted or '(none is named)'}"


def _declared(component: dict[str, Any], definitions: str, kind: str) -> dict[str, Any]:
    return component.get(definitions, {}).get(f"{kind}s", {})


def _cycle_faults(spec: dict[str, Any]) -> Iterator[str]:
    tasks = _tasks(spec)
    # Sorted, so that the same file is told the same.
    graph = {name: sorted(_producers(task) & tasks.keys()) for name, task in tasks.items()}
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        yield f"tasks wait for themselves: {' -> '.join(error.args[1])}"


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
        if not executor:
            yield f"executor {label}: it is empty"
        if "container" in executor:
            for fault in _container_faults(executor["container"]):
                yield f"executor {label}: {fault}"
    for platform in platforms.get("platforms", {}).values():
        pods = platform.get("deploymentSpec", {}).get("executors", {})
        for label in pods.keys() - executors.keys():
            yield f"the platforms document has settings for {label}, which is no executor"


def _container_faults(container: dict[str, Any]) -> Iterator[str]:
    if not container.get("image"):
        yield "its container has no image"
    for limit in ("cpuLimit", "memoryLimit"):
        value = container.get("resources", {}).get(limit)  # None if it is 0, which is no limit
        if value is not None and not 0 < float(value) < math.inf:
            yield f"{limit} is {value}, not a number above 0"


def _parameter_faults(spec: dict[str, Any]) -> Iterator[str]:
    for name, parameter in _declared(spec.get("root", {}), "inputDefinitions", "parameter").items():
        if "defaultValue" not in parameter:
            yield f"the run's parameter {name} has no default"
            continue
        kind, default = parameter.get("parameterType"), parameter["defaultValue"]
        if not _fits(default, kind):
            yield f"the run's parameter {name} is {kind}, its default {reprlib.repr(default)}"


def _fits(value: Any, kind: str | None) -> bool:
    """Whether a value is of a parameter's type."""
    if kind == "STRING":
        return isinstance(value, str)
    if kind in ("NUMBER_INTEGER", "NUMBER_DOUBLE"):
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return False
        # JSON has but one kind of number: 8.0 is an integer too.
        return kind == "NUMBER_DOUBLE" or value == int(value)
    return True
