"""What Kubeflow's driver makes of the platforms document: a pod's environment and volumes.

After kubeflow/pipelines: backend/src/v2/driver/k8s.go.
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2 as ir
from kubeflow.compiled import RefusedError, Task
from kubeflow.driver import Context, parameter_value, text_of
from kubeflow.pod import Volume


@dataclasses.dataclass(frozen=True)
class Cluster:
    """What a namespace has that pods refer to.

    Attributes:
        secrets: Content of each secret, by name and key.
        config_maps: Likewise.
        claims: The host's folder for each persistent volume claim.
    """

    secrets: Mapping[str, Mapping[str, str]] = dataclasses.field(default_factory=dict)
    config_maps: Mapping[str, Mapping[str, str]] = dataclasses.field(default_factory=dict)
    claims: Mapping[str, Path] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class PodSettings:
    """What the platforms document adds to a task's pod.

    Attributes:
        environment: From secrets, config maps and the pod's own fields.
        volumes: Claims, secrets, config maps and empty folders.
        user: The user to run as, if said.
        limit_s: Seconds after which it is stopped, if said.
    """

    environment: Mapping[str, str]
    volumes: list[Volume]
    user: int | None
    limit_s: float | None


def pod_settings(task: Task, context: Context, cluster: Cluster, folder: Path) -> PodSettings:
    """Returns a pod's settings.

    Args:
        task: The task.
        context: Its run.
        cluster: Has what the settings refer to.
        folder: A new folder of the host, for the pod's volumes.

    Raises:
        RefusedError: If the cluster lacks something the pod needs; a real one never starts.
    """
    said = task.kubernetes
    volumes = _claim_volumes(task, context, cluster) + _empty_volumes(said, folder)
    environment: dict[str, str] = {}
    for kind, content in (("secret", cluster.secrets), ("configMap", cluster.config_maps)):
        for entry in said.get(f"{kind}AsEnv", []):
            environment |= _environment(kind, entry, content, context)
        for entry in said.get(f"{kind}AsVolume", []):
            volumes += _files(kind, entry, content, context, folder)
    deadline = said.get("activeDeadlineSeconds")
    return PodSettings(
        environment=environment,
        volumes=volumes,
        user=said.get("securityContext", {}).get("runAsUser"),
        limit_s=None if deadline is None else float(deadline),
    )


def _named(entry: Mapping[str, Any], old: str, new: str, context: Context) -> str:
    """Returns a name, given as a plain one or as the specification of a parameter."""
    if new not in entry:
        return entry[old]
    given = json_format.ParseDict(entry[new], ir.TaskInputsSpec.InputParameterSpec())
    return text_of(parameter_value(new, given, context))


def claim_names(task: Task, context: Context) -> list[str]:
    """Returns the names of the persistent volume claims that a task mounts."""
    entries = task.kubernetes.get("pvcMount", [])
    return [_named(entry, "constant", "pvcNameParameter", context) for entry in entries]


def _claim_volumes(task: Task, context: Context, cluster: Cluster) -> list[Volume]:
    volumes = []
    names = claim_names(task, context)
    for name, entry in zip(names, task.kubernetes.get("pvcMount", []), strict=True):
        if name not in cluster.claims:
            raise RefusedError(f"persistentvolumeclaim {name!r} not found")
        below = Path(cluster.claims[name], entry.get("subPath", ""))
        volumes.append(Volume(entry["mountPath"], below))
    return volumes


def _empty_volumes(said: Mapping[str, Any], folder: Path) -> list[Volume]:
    volumes = []
    for number, entry in enumerate(said.get("emptyDirMounts", [])):
        size = _mount_size(entry.get("sizeLimit", "1Gi"))
        if entry.get("medium") == "Memory":
            volumes.append(Volume(entry["mountPath"], size=size))
        else:
            volumes.append(Volume(entry["mountPath"], _new(folder / f"empty-{number}")))
    return volumes  # `enabledSharedMemory` is in the proto, and looked at nowhere


def _mount_size(quantity: str) -> str:
    """Returns a Kubernetes quantity (2Gi) as mount(8) takes it (2g)."""
    return quantity.removesuffix("i").lower()


def _new(folder: Path) -> Path:
    folder.mkdir(parents=True)
    folder.chmod(0o777)
    return folder


def _content(
    kind: str, entry: Mapping[str, Any], content: Mapping[str, Any], context: Context
) -> Mapping[str, str] | None:
    name = _named(entry, f"{kind}Name", f"{kind}NameParameter", context)
    if name not in content and not entry.get("optional"):
        raise RefusedError(f"{kind.lower()} {name!r} not found")
    return content.get(name)


def _environment(
    kind: str, entry: Mapping[str, Any], content: Mapping[str, Any], context: Context
) -> dict[str, str]:
    values = _content(kind, entry, content, context)
    if values is None:
        return {}
    environment = {}
    for pair in entry["keyToEnv"]:
        key = pair[f"{kind}Key"]
        if key not in values:
            raise RefusedError(f"couldn't find key {key} in {kind} of {entry}")
        environment[pair["envVar"]] = values[key]
    return environment


def _files(
    kind: str,
    entry: Mapping[str, Any],
    content: Mapping[str, Any],
    context: Context,
    folder: Path,
) -> list[Volume]:
    values = _content(kind, entry, content, context)
    if values is None:
        return []
    files = _new(folder / f"{kind}{entry['mountPath'].replace('/', '-')}")
    for key, value in values.items():
        (files / key).write_text(value, encoding="utf-8")
    return [Volume(entry["mountPath"], files, read_only=True)]
