"""What Kubeflow remembers from run to run: artifacts in ML Metadata, and the cache.

After kubeflow/pipelines: backend/src/v2/metadata/{client,converter,model}.go and
backend/src/v2/cacheutils/cache.go.
"""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from google.protobuf import json_format, struct_pb2
from kfp.pipeline_spec import pipeline_spec_pb2 as ir


@dataclasses.dataclass(frozen=True)
class Artifact:
    """An artifact as ML Metadata has it.

    Attributes:
        id: Its number.
        uri: Where it is.
        metadata: Its custom properties, as the next task is told them.
    """

    id: int
    uri: str
    metadata: Mapping[str, Any]

    def as_input(self) -> ir.RuntimeArtifact:
        """Returns it as an input. The type is lost: OutputArtifact.Schema is never filled."""
        artifact = ir.RuntimeArtifact(name=str(self.id), uri=self.uri)
        artifact.type.instance_schema = ""
        artifact.metadata.update(self.metadata)
        return artifact


@dataclasses.dataclass(frozen=True)
class Outputs:
    """What a task gave.

    Attributes:
        artifacts: By output key.
        parameters: By name.
    """

    artifacts: Mapping[str, Artifact]
    parameters: Mapping[str, struct_pb2.Value]


class Records:
    """ML Metadata and the cache server: pass one to several emulators to share them."""

    def __init__(self) -> None:
        self.artifacts: list[Artifact] = []
        self._cache: dict[str, Outputs] = {}

    def record(self, key: str, artifact: ir.RuntimeArtifact, session: str) -> Artifact:
        """Records an output (RecordArtifact in client.go).

        Args:
            key: The output's key.
            artifact: What the launcher knows of it.
            session: How to reach its store.

        Raises:
            ValueError: If a value of its metadata is null.
        """
        metadata = {name: _as_property(value) for name, value in artifact.metadata.fields.items()}
        metadata = {"display_name": key, "store_session_info": session} | metadata
        self.artifacts.append(Artifact(len(self.artifacts) + 1, artifact.uri, metadata))
        return self.artifacts[-1]

    def find(self, uri: str) -> Artifact | None:
        """Returns the artifact that was recorded last for a URI, as an importer looks for it."""
        found = [artifact for artifact in self.artifacts if artifact.uri == uri]
        return found[-1] if found else None

    def cached(self, fingerprint: str) -> Outputs | None:
        """Returns what the last task with a fingerprint gave."""
        return self._cache.get(fingerprint)

    def remember(self, fingerprint: str, outputs: Outputs) -> None:
        """Keeps what a task gave."""
        self._cache[fingerprint] = outputs


def fingerprint(
    pipeline: str,
    executor_input: ir.ExecutorInput,
    component: ir.ComponentSpec,
    container: ir.PipelineDeploymentConfig.PipelineContainerSpec,
    claims: list[str],
) -> str:
    """Returns the cache's key (GenerateCacheKey in cache.go). No content of any file is in it.

    Args:
        pipeline: Name of the pipeline; others' entries are not looked at.
        executor_input: Of the task. URIs do not count: inputs by their numbers, outputs by type.
        component: Its output parameters' types count.
        container: Image, command and arguments count. (Its environment, in some later versions
            only, does not here.)
        claims: Names of the persistent volume claims.
    """
    given = json_format.MessageToDict(executor_input)
    outputs = given.get("outputs", {}).get("artifacts", {})
    declared = component.output_definitions.parameters
    key = {
        "pipeline": pipeline,
        "input_artifacts": {
            name: [artifact.name for artifact in listed.artifacts]
            for name, listed in executor_input.inputs.artifacts.items()
        },
        "input_parameters": given.get("inputs", {}).get("parameterValues", {}),
        "output_artifacts": {
            name: {k: v for k, v in listed["artifacts"][0].items() if k != "uri"}
            for name, listed in outputs.items()
        },
        "output_parameters": {name: spec.parameter_type for name, spec in declared.items()},
        "image": container.image,
        "command": [*container.command, *container.args],
        "claims": sorted(set(claims)),
    }
    return hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()


def _as_property(value: struct_pb2.Value) -> Any:
    """Returns a metadata value after its way through ML Metadata (converter.go).

    Raises:
        ValueError: If it is null.
    """
    kind = value.WhichOneof("kind")
    if kind == "bool_value":
        return int(value.bool_value)
    if kind == "list_value":
        return {"list": json_format.MessageToDict(value)}
    if kind == "struct_value":
        return {"struct": json_format.MessageToDict(value)}
    if kind in ("string_value", "number_value"):
        return getattr(value, kind)
    raise ValueError(f"unknown/unsupported value type {kind}")
