"""What Kubeflow's driver does before a task: its inputs, and its outputs' places.

After kubeflow/pipelines: backend/src/v2/driver/{driver,resolve}.go.
"""

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

from google.protobuf import json_format, struct_pb2
from kfp.pipeline_spec import pipeline_spec_pb2 as ir
from kubeflow.compiled import RefusedError, Task, kind_of
from kubeflow.object_store import local_path
from kubeflow.records import Outputs

# Where the container writes its ExecutorOutput: until 2.14, and since 2.15.
TMP, TASK_ROOT = "tmp", "task_root"

_OUTPUT_FILE_IN_TMP = "/tmp/kfp_outputs/output_metadata.json"


@dataclasses.dataclass(frozen=True)
class Context:
    """The run that a task belongs to.

    Attributes:
        pipeline: Name of the pipeline.
        run_id: Of the run.
        run_name: What its pages call it.
        root_uri: The pipeline root that the run was given, or the launcher's default one.
        output_file_place: `TMP` or `TASK_ROOT`.
        arguments: The root DAG's parameters.
        done: What the tasks before gave.
    """

    pipeline: str
    run_id: str
    run_name: str
    root_uri: str
    output_file_place: str
    arguments: Mapping[str, struct_pb2.Value]
    done: Mapping[str, Outputs]

    @property
    def run_root(self) -> str:
        """Where all outputs of the run are; the launcher writes nowhere else."""
        return f"{self.root_uri.rstrip('/')}/{self.pipeline}/{self.run_id}"


def executor_input(task: Task, context: Context, task_id: str) -> ir.ExecutorInput:
    """Returns a task's ExecutorInput.

    Args:
        task: The task.
        context: Its run.
        task_id: The UUID in its outputs' URIs.

    Raises:
        RefusedError: If the driver fails.
    """
    result = ir.ExecutorInput()
    for name, given in task.spec.inputs.parameters.items():
        result.inputs.parameter_values[name].CopyFrom(parameter_value(name, given, context))
    _convert(result.inputs.parameter_values, task.component)
    for name, given in task.spec.inputs.artifacts.items():
        found = _artifact(name, given, context)
        result.inputs.artifacts[name].artifacts.append(found)
    _provision(result.outputs, task, context, task_id)
    return result


def parameter_value(name: str, given: Any, context: Context) -> struct_pb2.Value:
    """Returns an input parameter's value.

    Args:
        name: Of the parameter.
        given: Where it comes from.
        context: The run.

    Raises:
        RefusedError: If it is not there.
    """
    kind = given.WhichOneof("kind")
    if kind == "component_input_parameter":
        if given.component_input_parameter not in context.arguments:
            raise RefusedError(
                f"parent DAG does not have input parameter {given.component_input_parameter}"
            )
        return context.arguments[given.component_input_parameter]
    if kind == "task_output_parameter":
        outputs = context.done[given.task_output_parameter.producer_task].parameters
        key = given.task_output_parameter.output_parameter_key
        if key not in outputs:
            raise RefusedError(f"parameter {name!r}: its producer has no output parameter {key!r}")
        return outputs[key]
    if kind == "runtime_value" and given.runtime_value.WhichOneof("value") == "constant":
        return _constant(given.runtime_value.constant, context)
    raise RefusedError(f"parameter {name!r}: spec of type {kind} not implemented: {given}")


def _constant(value: struct_pb2.Value, context: Context) -> struct_pb2.Value:
    """A constant, or what a placeholder stands for; within a longer text none is one."""
    placeholders = {
        "{{$.pipeline_job_uuid}}": context.run_id,
        "{{$.pipeline_job_name}}": context.run_name,
        "{{$.pipeline_job_resource_name}}": f"{context.pipeline}-{context.run_id[:5]}",
    }
    if value.string_value in placeholders:
        return struct_pb2.Value(string_value=placeholders[value.string_value])
    return value


def _artifact(name: str, given: Any, context: Context) -> ir.RuntimeArtifact:
    if given.WhichOneof("kind") != "task_output_artifact":
        raise RefusedError(f"input artifact {name!r}: parent DAG does not have it: {given}")
    key = given.task_output_artifact.output_artifact_key
    outputs = context.done[given.task_output_artifact.producer_task].artifacts
    if key not in outputs:
        raise RefusedError(f"cannot find output artifact key {key!r} for input artifact {name!r}")
    return outputs[key].as_input()


def _convert(values: Any, component: ir.ComponentSpec) -> None:
    """Checks parameters against the component and turns any into text where it wants a string."""
    for name, spec in component.input_definitions.parameters.items():
        if name not in values:
            if not spec.is_optional:
                raise RefusedError(f"no value provided for non-optional parameter {name!r}")
            continue
        wanted, kind = kind_of(spec.parameter_type), values[name].WhichOneof("kind")
        if kind != wanted and wanted == "string_value":
            values[name].CopyFrom(struct_pb2.Value(string_value=text_of(values[name])))
        elif kind != wanted:
            raise RefusedError(
                f"input parameter {name!r} type mismatch: expect {wanted}, got {kind}"
            )


def _provision(
    outputs: ir.ExecutorInput.Outputs, task: Task, context: Context, task_id: str
) -> None:
    task_root = f"{context.run_root}/{task.spec.task_info.name}/{task_id}"
    in_task_root = context.output_file_place == TASK_ROOT
    for key, spec in task.component.output_definitions.artifacts.items():
        artifact = outputs.artifacts[key].artifacts.add()
        artifact.uri = f"{task_root}/{key}"
        artifact.type.CopyFrom(spec.artifact_type)
        if spec.HasField("metadata"):
            artifact.metadata.CopyFrom(spec.metadata)
        if in_task_root:
            artifact.name = key  # since 2.15, with the other place of the file
    for name in task.component.output_definitions.parameters:
        outputs.parameters[name].output_file = f"/tmp/kfp/outputs/{name}"
    in_root = f"{local_path(task_root)}/output_metadata.json"
    outputs.output_file = in_root if in_task_root else _OUTPUT_FILE_IN_TMP


def as_json(message: Any) -> str:
    """Returns a message as Go's protojson does: whole numbers have no point, maps are sorted."""
    return _compact(_whole_numbers(json_format.MessageToDict(message)))


def text_of(value: struct_pb2.Value) -> str:
    """Returns a value as text (PbValueToText in converter.go)."""
    plain = _whole_numbers(json_format.MessageToDict(value))
    if plain is None:
        return ""
    return plain if isinstance(plain, str) else _compact(plain)


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), sort_keys=True)


def _whole_numbers(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _whole_numbers(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_whole_numbers(inner) for inner in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
