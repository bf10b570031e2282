"""The compiled pipeline with a change in its spec."""

import copy
from collections.abc import Callable
from typing import Any

from compiling import compiled

from pipeline.kubeflow.package import Package
from pipeline.target import Target


def changed(change: Callable[[dict[str, Any]], Any], target: Target = Target.KFP) -> Package:
    """The compiled pipeline after `change` had its spec."""
    package = copy.deepcopy(compiled(target))
    change(package.spec)
    return package


def renamed(spec: dict[str, Any], name: str) -> None:
    spec["root"]["dag"]["tasks"][name] = spec["root"]["dag"]["tasks"].pop("RunReport")


def task(spec: dict[str, Any], name: str = "Pusher") -> dict[str, Any]:
    return spec["root"]["dag"]["tasks"][name]


def artifact(spec: dict[str, Any]) -> dict[str, Any]:
    """What the Pusher's model is."""
    return task(spec)["inputs"]["artifacts"]["model"]["taskOutputArtifact"]


def parameter(spec: dict[str, Any], name: str = "epochs") -> dict[str, Any]:
    """One of the run's."""
    return spec["root"]["inputDefinitions"]["parameters"][name]


def executor(spec: dict[str, Any]) -> dict[str, Any]:
    return spec["deploymentSpec"]["executors"]["Pusher_executor"]


def limited(limit: str, value: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda spec: executor(spec)["container"]["resources"].update({limit: value})


def defaulting(name: str, value: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda spec: parameter(spec, name).update(defaultValue=value)
