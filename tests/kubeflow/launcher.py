"""What Kubeflow's launcher does in a task's pod: download, run, collect, upload, record.

After kubeflow/pipelines: backend/src/v2/component/launcher_v2.go, and Kubernetes' expansion of
$(VARIABLES) in a container's command.
"""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

import yaml
from google.protobuf import json_format, struct_pb2
from kfp.pipeline_spec import pipeline_spec_pb2 as ir
from kubeflow.compiled import Task
from kubeflow.driver import as_json, text_of
from kubeflow.object_store import ObjectStore, local_path
from kubeflow.pod import Ended, Pod
from kubeflow.records import Outputs, Records

_VARIABLE = re.compile(r"\$(\$|\((\w+)\))")

# A path of the pod, alone or within JSON: nobody can do anything with it once the pod is gone.
_POD_PATH = re.compile(r"""(^|["'\s,=\[(:])/(minio|s3|gcs|tmp)/""")


class LaunchError(RuntimeError):
    """The launcher failed, or the command in it.

    Attributes:
        ended: How the command ended, if it ran.
    """

    def __init__(self, message: str, ended: Ended | None = None) -> None:
        super().__init__(message)
        self.ended = ended


def launch(
    task: Task,
    executor_input: ir.ExecutorInput,
    pod: Pod,
    environment: Mapping[str, str],
    store: ObjectStore,
    records: Records,
    run_root: str,
    watch: Callable[[Pod], None] | None,
    limit_s: float,
) -> tuple[Outputs, Ended]:
    """Runs a task's command in a pod and publishes what it gave.

    Args:
        task: A container task.
        executor_input: As the driver made it.
        pod: A fresh one.
        environment: All of the container's.
        store: Has the inputs and takes the outputs.
        records: Takes the artifacts.
        run_root: URI prefix of all the run's outputs.
        watch: See `Pod.run`.
        limit_s: See `Pod.run`.

    Raises:
        LaunchError: If anything fails.
    """
    # Parameters' values pass through the pod's specification, where Kubernetes expands $(…).
    text = expand(as_json(executor_input), environment)
    executor_input = json_format.Parse(text, ir.ExecutorInput())
    _download(executor_input, pod, store)
    _prepare_folders(executor_input, pod)
    command = command_line(task, executor_input, environment)
    ended = pod.run(command, environment, watch, limit_s)
    if ended.exit_code:
        raise LaunchError(f"exit status {ended.exit_code}", ended)
    try:
        output = _executor_output(executor_input, pod)
        parameters = _parameters(executor_input, output, task.component, pod)
        artifacts = _publish(executor_input, output, pod, store, records, run_root)
    except (ValueError, OSError) as error:
        raise LaunchError(str(error), ended) from error
    return Outputs(artifacts, parameters), ended


def command_line(
    task: Task, executor_input: ir.ExecutorInput, environment: Mapping[str, str]
) -> list[str]:
    """Returns a container's command and arguments as its process gets them.

    The image's own entry point is never used.

    Raises:
        LaunchError: If there are none.
    """
    container = task.executor.container
    command = [expand(part, environment) for part in (*container.command, *container.args)]
    if not command:
        raise LaunchError("command and arguments are empty")
    placeholders = _placeholders(_with_defaults(executor_input, task.component))
    for placeholder, value in placeholders.items():
        command = [part.replace(placeholder, value) for part in command]
    return command


def expand(text: str, environment: Mapping[str, str]) -> str:
    """Returns text with $(NAME) replaced as Kubernetes does: $$ is $, unknown names stay."""

    def value(found: re.Match[str]) -> str:
        return "$" if found[1] == "$" else environment.get(found[2], found[0])

    return _VARIABLE.sub(value, text)


def _with_defaults(
    executor_input: ir.ExecutorInput, component: ir.ComponentSpec
) -> ir.ExecutorInput:
    result = ir.ExecutorInput()
    result.CopyFrom(executor_input)
    for name, spec in component.input_definitions.parameters.items():
        if spec.HasField("default_value") and name not in result.inputs.parameter_values:
            result.inputs.parameter_values[name].CopyFrom(spec.default_value)
    return result


def _placeholders(executor_input: ir.ExecutorInput) -> dict[str, str]:
    inputs, outputs = executor_input.inputs, executor_input.outputs
    result = {"{{$}}": as_json(executor_input)}
    for side, artifacts in (("inputs", inputs.artifacts), ("outputs", outputs.artifacts)):
        for key, listed in artifacts.items():
            uri = listed.artifacts[0].uri
            result[f"{{{{$.{side}.artifacts['{key}'].uri}}}}"] = uri
            result[f"{{{{$.{side}.artifacts['{key}'].path}}}}"] = _path_or_uri(uri)
    for name, value in inputs.parameter_values.items():
        result[f"{{{{$.inputs.parameters['{name}']}}}}"] = text_of(value)
    for name, parameter in outputs.parameters.items():
        result[f"{{{{$.outputs.parameters['{name}'].output_file}}}}"] = parameter.output_file
    return result


def _path_or_uri(uri: str) -> str:
    try:
        return local_path(uri)
    except ValueError:
        return uri


def _download(executor_input: ir.ExecutorInput, pod: Pod, store: ObjectStore) -> None:
    for key, listed in executor_input.inputs.artifacts.items():
        uri = listed.artifacts[0].uri
        try:
            path = local_path(uri)
        except ValueError:
            continue  # "does not have a recognized storage URI. Skipping downloading"
        try:
            store.get(uri, pod.host_path(path))
        except Exception as error:
            raise LaunchError(
                f"failed to download input artifact {key!r} from remote storage URI {uri!r}: "
                f"{error}"
            ) from error


def _prepare_folders(executor_input: ir.ExecutorInput, pod: Pod) -> None:
    """Makes the outputs' parent folders; not the one of the ExecutorOutput."""
    paths = [parameter.output_file for parameter in executor_input.outputs.parameters.values()]
    for listed in executor_input.outputs.artifacts.values():
        paths += [local_path(artifact.uri) for artifact in listed.artifacts]
    for path in paths:
        pod.host_path(path).parent.mkdir(parents=True, exist_ok=True)


def _executor_output(executor_input: ir.ExecutorInput, pod: Pod) -> ir.ExecutorOutput:
    path = executor_input.outputs.output_file
    file = pod.host_path(path)
    if not file.exists():
        return ir.ExecutorOutput()
    try:
        return json_format.Parse(file.read_bytes(), ir.ExecutorOutput())
    except json_format.ParseError as error:
        raise ValueError(
            f"failed to unmarshall ExecutorOutput in file {path!r}: {error}"
        ) from error


def _parameters(
    executor_input: ir.ExecutorInput,
    output: ir.ExecutorOutput,
    component: ir.ComponentSpec,
    pod: Pod,
) -> dict[str, struct_pb2.Value]:
    """Returns the output parameters: of the ExecutorOutput, else of their own files."""
    result = dict(output.parameter_values.items())
    for name, parameter in executor_input.outputs.parameters.items():
        if name not in result:
            kind = component.output_definitions.parameters[name].parameter_type
            try:
                text = pod.host_path(parameter.output_file).read_text(encoding="utf-8")
                result[name] = _value(text, kind)
            except (ValueError, OSError) as error:
                raise ValueError(
                    f"failed to read output parameter {name!r} at {parameter.output_file!r}: "
                    f"{error}"
                ) from error
    return result


def _value(text: str, kind: int) -> struct_pb2.Value:
    """Returns text as a value of a type (TextToPbValue in converter.go)."""
    types = ir.ParameterType
    if kind == types.STRING:
        return struct_pb2.Value(string_value=text)
    if kind == types.NUMBER_INTEGER:
        return struct_pb2.Value(number_value=int(text.strip()))
    if kind == types.NUMBER_DOUBLE:
        return struct_pb2.Value(number_value=float(text.strip()))
    if kind == types.BOOLEAN and text.strip() in ("1", "t", "T", "TRUE", "true", "True"):
        return struct_pb2.Value(bool_value=True)
    if kind == types.BOOLEAN and text.strip() in ("0", "f", "F", "FALSE", "false", "False"):
        return struct_pb2.Value(bool_value=False)
    if kind in (types.LIST, types.STRUCT):
        return json_format.Parse(text, struct_pb2.Value())
    raise ValueError(f"TextToPbValue(text={text!r}, type={kind}) failed")


def _publish(
    executor_input: ir.ExecutorInput,
    output: ir.ExecutorOutput,
    pod: Pod,
    store: ObjectStore,
    records: Records,
    run_root: str,
) -> dict[str, Any]:
    """Uploads and records the outputs, one after the other; what was uploaded stays."""
    session = json.dumps({"Provider": run_root.split(":")[0], "Params": {"fromEnv": "false"}})
    artifacts = {}
    for key in sorted(executor_input.outputs.artifacts):
        artifact = executor_input.outputs.artifacts[key].artifacts[0]
        if key in output.artifacts and output.artifacts[key].artifacts:
            _merge(output.artifacts[key].artifacts[0], artifact)
        check_no_pod_paths(key, artifact)
        _upload(key, artifact.uri, pod, store, run_root)
        _check_schema(key, artifact)
        try:
            artifacts[key] = records.record(key, artifact, session)
        except ValueError as error:
            raise ValueError(
                f"unable to produce MLMD artifact for output {key!r}: {error}"
            ) from error
    return artifacts


def _merge(given: ir.RuntimeArtifact, artifact: ir.RuntimeArtifact) -> None:
    """Merges what the container says of an output (mergeRuntimeArtifacts): URI and metadata."""
    if given.uri:
        artifact.uri = given.uri
    for name, value in given.metadata.fields.items():
        artifact.metadata.fields[name].CopyFrom(value)


def check_no_pod_paths(key: str, artifact: ir.RuntimeArtifact) -> None:
    """Checks that nothing in an output points into the pod. Kubeflow does not notice.

    Raises:
        ValueError: If something does.
    """
    said = {"uri": artifact.uri} | json_format.MessageToDict(artifact.metadata)
    for name, value in said.items():
        text = value if isinstance(value, str) else json.dumps(value)
        if _POD_PATH.search(text):
            raise ValueError(f"output {key!r}: {name} points into the pod: {text!r}")


def _upload(key: str, uri: str, pod: Pod, store: ObjectStore, run_root: str) -> None:
    try:
        path = local_path(uri)
    except ValueError:
        return  # "does not have a recognized storage URI. Skipping uploading"
    if not uri.startswith(run_root):
        raise ValueError(
            f"failed to upload output artifact {key!r}: URI {uri!r} does not have expected bucket "
            f"prefix {run_root!r}"
        )
    local = pod.host_path(path)
    if not local.exists():
        return  # "We allow components to not produce output files"
    try:
        store.put(local, uri)
    except OSError as error:
        raise ValueError(
            f"failed to upload output artifact {key!r} to remote storage URI {uri!r}: {error}"
        ) from error


def _check_schema(key: str, artifact: ir.RuntimeArtifact) -> None:
    kind = artifact.type.WhichOneof("kind")
    schema = artifact.type.instance_schema if kind == "instance_schema" else ""
    titled = kind == "schema_title" or (yaml.safe_load(schema) or {}).get("title")
    if not titled:
        raise ValueError(f"failed to determine schema for output {key!r}: {artifact.type}")
