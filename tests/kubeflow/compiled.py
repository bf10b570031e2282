"""A compiled pipeline as Kubeflow's API server takes it, or refuses it.

After kubeflow/pipelines: backend/src/apiserver/template/{template,v2_template}.go and
backend/src/v2/compiler/visitor.go, 2.0 to 2.16.
"""

import dataclasses
import graphlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from google.protobuf import json_format, struct_pb2
from kfp.pipeline_spec import pipeline_spec_pb2 as ir

_Deployment = ir.PipelineDeploymentConfig

_SCHEMA_VERSION = "2.1.0"

# Of DAG tasks, by Argo Workflows' validation.
_TASK_NAME = re.compile(r"[a-zA-Z0-9][-a-zA-Z0-9]*")

# kubernetes_platform/proto/kubernetes_executor_config.proto
_KUBERNETES_FIELDS = frozenset(
    {
        *("secretAsVolume", "secretAsEnv", "configMapAsVolume", "configMapAsEnv"),
        *("pvcMount", "genericEphemeralVolume", "emptyDirMounts", "enabledSharedMemory"),
        *("nodeSelector", "tolerations", "nodeAffinity", "podAffinity", "podMetadata"),
        *("imagePullSecret", "imagePullPolicy", "activeDeadlineSeconds", "fieldPathAsEnv"),
        *("securityContext",),
    }
)

_KINDS = {
    ir.ParameterType.STRING: "string_value",
    ir.ParameterType.NUMBER_INTEGER: "number_value",
    ir.ParameterType.NUMBER_DOUBLE: "number_value",
    ir.ParameterType.BOOLEAN: "bool_value",
    ir.ParameterType.LIST: "list_value",
    ir.ParameterType.STRUCT: "struct_value",
}


class RefusedError(ValueError):
    """Kubeflow's API server or its driver refuses the pipeline, its parameters or a task."""


@dataclasses.dataclass(frozen=True)
class Task:
    """A task of the root DAG with all that is said of it elsewhere in the file.

    Attributes:
        name: Its name in the DAG.
        spec: Its own specification.
        component: That of its component.
        executor: What runs: a container or an importer.
        kubernetes: Its part of the platforms document.
    """

    name: str
    spec: ir.PipelineTaskSpec
    component: ir.ComponentSpec
    executor: _Deployment.ExecutorSpec
    kubernetes: Mapping[str, Any]


def _pipeline_spec(document: Any) -> ir.PipelineSpec | None:
    """Returns a document as a PipelineSpec if it is one (isPipelineSpec in template.go)."""
    try:
        spec = json_format.ParseDict(document, ir.PipelineSpec())
    except json_format.ParseError:
        return None
    return spec if spec.pipeline_info.name and spec.HasField("root") else None


def _executors(document: Any) -> Mapping[str, Any]:
    """Returns what a platforms document says of each executor.

    Kubeflow ignores a document it cannot parse; here it is an error, since it says something.
    """
    try:
        json_format.ParseDict(document, ir.PlatformSpec())
        executors = document["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    except (json_format.ParseError, KeyError, TypeError) as error:
        raise RefusedError(f"neither a pipeline nor a platforms document: {error!r}") from error
    for label, config in executors.items():
        if unknown := set(config) - _KUBERNETES_FIELDS:
            raise RefusedError(f"executor {label!r}: unknown Kubernetes settings {sorted(unknown)}")
    return executors


class CompiledPipeline:
    """A compiled pipeline that Kubeflow accepts.

    Attributes:
        name: Of the pipeline.
        tasks: Its tasks, each after those it depends on.
    """

    def __init__(self, file: Path) -> None:
        """Reads the file.

        Raises:
            RefusedError: If Kubeflow would not take it.
        """
        documents = [document for document in yaml.safe_load_all(file.read_text()) if document]
        self._spec = self._only_spec(documents)
        self._platforms = self._only_platforms(documents)
        self._deployment = self._parse_deployment()
        self.name = self._spec.pipeline_info.name
        self.tasks = [self._task(name) for name in self._order()]

    def arguments(self, parameters: Mapping[str, Any]) -> dict[str, struct_pb2.Value]:
        """Returns the root's parameters: those given, and the defaults of the others.

        Raises:
            RefusedError: If one is missing, unknown or of another type.
        """
        declared = self._spec.root.input_definitions.parameters
        if unknown := sorted(set(parameters) - set(declared)):
            raise RefusedError(f"parameter(s) provided are not required by pipeline: {unknown}")
        arguments = {}
        for name, spec in declared.items():
            if name in parameters:
                arguments[name] = _checked(name, spec, parameters[name])
            elif spec.HasField("default_value"):
                arguments[name] = spec.default_value
            elif not spec.is_optional:
                raise RefusedError(
                    f"parameter {name} is not optional, yet has neither default value nor user "
                    "provided value"
                )
        return arguments

    def _only_spec(self, documents: list[Any]) -> ir.PipelineSpec:
        specs = [spec for spec in map(_pipeline_spec, documents) if spec is not None]
        if not specs:
            raise RefusedError("unknown template format")
        if len(specs) > 1:
            raise RefusedError("multiple pipeline specs provided")
        if specs[0].schema_version != _SCHEMA_VERSION:
            raise RefusedError(
                f"KFP only supports schema version {_SCHEMA_VERSION}, but the pipeline spec has "
                f"version {specs[0].schema_version}"
            )
        return specs[0]

    def _only_platforms(self, documents: list[Any]) -> Mapping[str, Any]:
        others = [document for document in documents if _pipeline_spec(document) is None]
        if len(others) > 1:
            raise RefusedError("multiple platform specs provided")
        executors = _executors(others[0]) if others else {}
        if unknown := set(executors) - set(self._spec.deployment_spec["executors"]):
            raise RefusedError(f"settings for executors that are not there: {sorted(unknown)}")
        return executors

    def _parse_deployment(self) -> _Deployment:
        as_dict = json_format.MessageToDict(self._spec.deployment_spec)
        try:
            return json_format.ParseDict(as_dict, _Deployment())
        except json_format.ParseError as error:
            raise RefusedError(f"invalid deploymentSpec: {error}") from error

    def _order(self) -> list[str]:
        tasks = self._spec.root.dag.tasks
        before = {}
        for name, spec in tasks.items():
            before[name] = {*spec.dependent_tasks, *_producers(spec)}
            if missing := sorted(before[name] - set(tasks)):
                raise RefusedError(f"task {name!r}: cannot find producer task(s) {missing}")
        sorter = graphlib.TopologicalSorter({name: sorted(before[name]) for name in sorted(before)})
        try:
            return list(sorter.static_order())
        except graphlib.CycleError as error:
            raise RefusedError(f"the tasks depend on each other in a circle: {error}") from error

    def _task(self, name: str) -> Task:
        spec = self._spec.root.dag.tasks[name]
        reference = spec.component_ref.name
        if not _TASK_NAME.fullmatch(name):
            raise RefusedError(
                f"task name {name!r} must consist of alpha-numeric characters or '-', and must "
                "start with an alpha-numeric character"
            )
        if reference not in self._spec.components:
            raise RefusedError(f"task {name!r}: component {reference!r} not found")
        component = self._spec.components[reference]
        executor = self._executor(reference, component)
        if spec.trigger_policy.condition or spec.WhichOneof("iterator"):
            raise NotImplementedError(f"task {name!r}: conditions and loops are not emulated")
        kubernetes = self._platforms.get(component.executor_label, {})
        return Task(name, spec, component, executor, kubernetes)

    def _executor(self, name: str, component: ir.ComponentSpec) -> _Deployment.ExecutorSpec:
        if component.HasField("dag"):
            raise NotImplementedError(f"component {name!r}: nested DAGs are not emulated")
        label = component.executor_label
        if label not in self._deployment.executors:
            raise RefusedError(f"executor(label={label!r}) not found in deployment config")
        executor = self._deployment.executors[label]
        if executor.WhichOneof("spec") not in ("container", "importer"):
            raise RefusedError(
                f"error processing component name={name!r}: executor(label={label!r}): "
                "non-container and non-importer executor not implemented"
            )
        return executor


def kind_of(parameter_type: int) -> str:
    """Returns the kind of struct_pb2.Value that a parameter of a type has.

    Raises:
        RefusedError: If the type is none of schema 2.1.
    """
    if parameter_type not in _KINDS:
        raise RefusedError(f"unspecified or unsupported parameter type {parameter_type}")
    return _KINDS[parameter_type]


def _checked(name: str, spec: Any, given: Any) -> struct_pb2.Value:
    value = json_format.ParseDict(given, struct_pb2.Value())
    kind = kind_of(spec.parameter_type)
    if value.WhichOneof("kind") != kind:
        raise RefusedError(f"input parameter {name} requires a {kind}, but is not of it: {given!r}")
    return value


def _producers(spec: ir.PipelineTaskSpec) -> set[str]:
    artifacts = {
        given.task_output_artifact.producer_task
        for given in spec.inputs.artifacts.values()
        if given.HasField("task_output_artifact")
    }
    parameters = {
        given.task_output_parameter.producer_task
        for given in spec.inputs.parameters.values()
        if given.HasField("task_output_parameter")
    }
    return artifacts | parameters
