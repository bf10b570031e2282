"""What Kubeflow or Vertex AI would refuse is refused before they see it."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
from compiling import EVERY_SETTING, compiled, tasks

from pipeline.kubeflow.checks import faults
from pipeline.kubeflow.package import Package
from pipeline.target import Target


def changed(change: Callable[[dict[str, Any]], Any], target: Target = Target.KFP) -> Package:
    """The compiled pipeline after `change` had its spec."""
    package = copy.deepcopy(compiled(target))
    change(package.spec)
    return package


def renamed(spec: dict[str, Any], name: str) -> None:
    spec["root"]["dag"]["tasks"][name] = spec["root"]["dag"]["tasks"].pop("Pusher")


def task(spec: dict[str, Any], name: str = "Pusher") -> dict[str, Any]:
    return spec["root"]["dag"]["tasks"][name]


CHANGES = {
    "schema 2.0": (
        lambda spec: spec.update(schemaVersion="2.0.0"),
        "schemaVersion is 2.0.0, not 2.1.0",
    ),
    "no schema": (lambda spec: spec.pop("schemaVersion"), "schemaVersion is None"),
    "unknown field": (lambda spec: spec.update(surprise=1), '"surprise"'),
    "unknown field of a task": (lambda spec: task(spec).update(surprise=1), '"surprise"'),
    "unknown field of a container": (
        lambda spec: spec["deploymentSpec"]["executors"]["Pusher_executor"]["container"].update(
            surprise=1
        ),
        '"surprise"',
    ),
    "missing producer": (
        lambda spec: task(spec)["inputs"]["artifacts"]["model"]["taskOutputArtifact"].update(
            producerTask="Tuner"
        ),
        "task Pusher: there is no task Tuner, whose output it takes",
    ),
    "missing producer of a parameter": (
        lambda spec: task(spec, "ImportExampleGen")["inputs"]["parameters"]["folder_fingerprint"][
            "taskOutputParameter"
        ].update(producerTask="FolderFingerprint_task"),
        "there is no task FolderFingerprint_task",
    ),
    "missing upstream task": (
        lambda spec: task(spec)["dependentTasks"].append("Tuner"),
        "there is no task Tuner",
    ),
    "_ in a name": (lambda spec: renamed(spec, "My_Pusher"), "task My_Pusher: only letters"),
    ". in a name": (lambda spec: renamed(spec, "My.Pusher"), "task My.Pusher: only letters"),
    "- at the end of a name": (lambda spec: renamed(spec, "Pusher-"), "task Pusher-: only"),
    "missing component": (
        lambda spec: spec["components"].pop("Pusher"),
        "task Pusher: there is no component Pusher",
    ),
    "missing executor": (
        lambda spec: spec["deploymentSpec"]["executors"].pop("Pusher_executor"),
        "component Pusher: there is no executor Pusher_executor",
    ),
    "parameter without default": (
        lambda spec: spec["root"]["inputDefinitions"]["parameters"]["epochs"].pop("defaultValue"),
        "the run's parameter epochs has no default",
    ),
    "no tasks": (lambda spec: spec["root"]["dag"].clear(), "there are no tasks"),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_spec_that_no_target_takes_is_refused(what):
    change, fault = CHANGES[what]
    for target in (Target.KFP, Target.VERTEX):
        found = faults(changed(change, target))
        assert fault in found[0]
        assert "\n" not in found[0]


def test_a_resolver_is_vertex_ais_alone():
    vertex = compiled(Target.VERTEX)
    assert faults(vertex) == []
    assert faults(Package(Target.KFP, vertex.spec)) == [
        "executor Champion-model-blessing-resolver_executor: kfp cannot carry out a resolver",
        "executor Champion-model-resolver_executor: kfp cannot carry out a resolver",
    ]


def test_a_job_is_no_spec():
    [fault] = faults(Package(Target.KFP, compiled(Target.VERTEX).job))
    assert fault.startswith("not a PipelineSpec: ")


def test_settings_of_no_executor_are_refused():
    package = copy.deepcopy(compiled(cluster=EVERY_SETTING))
    executors = package.platforms["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    executors["Tuner_executor"] = executors.pop("Pusher_executor")
    assert faults(package) == [
        "the platforms document has settings for Tuner_executor, which is no executor"
    ]


def test_another_second_document_is_refused():
    [fault] = faults(Package(Target.KFP, compiled().spec, platforms={"surprise": 1}))
    assert '"surprise"' in fault


def test_all_faults_are_told():
    def spoil(spec: dict[str, Any]) -> None:
        spec.update(schemaVersion="2.0.0")
        renamed(spec, "My_Pusher")

    assert len(faults(changed(spoil))) == 2


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) inside a JSON value."""
    if not isinstance(value, (dict, list)):
        return []
    keys = list(value) if isinstance(value, dict) else range(len(value))
    return [place for key in keys for place in [(value, key), *places(value[key])]]


@pytest.mark.slow
def test_whatever_is_in_the_file_is_told_of_without_an_exception():
    package = copy.deepcopy(compiled(cluster=EVERY_SETTING))
    keep = {"Trainer", "ImportExampleGen", "Trainer_executor", "ImportExampleGen_executor"}
    spec = package.spec
    platforms = package.platforms["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    for entries in (
        tasks(package),
        spec["components"],
        spec["deploymentSpec"]["executors"],
        platforms,
    ):
        for name in entries.keys() - keep:
            del entries[name]
    for document in (spec, package.platforms):
        for container, key in places(document):
            value = container[key]
            for other in (None, [], {}, "x", 1, [1], {"x": None}):
                container[key] = other
                assert all(isinstance(fault, str) for fault in faults(package))
            container[key] = value


@pytest.mark.parametrize("spec", [{}, {"root": {}}, {"root": None}, {"deploymentSpec": {}}])
def test_an_empty_spec_is_refused(spec):
    assert "there are no tasks" in faults(Package(Target.KFP, spec))
