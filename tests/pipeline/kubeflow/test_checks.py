"""What is no fault of a spec, what is one of the whole file, and that every fault is told."""

import copy
from typing import Any

import pytest
from changing import changed, defaulting, executor, limited, renamed, task
from compiling import EVERY_SETTING, compiled, tasks

from pipeline.kubeflow.checks import faults
from pipeline.kubeflow.package import Package
from pipeline.target import Target


def optional(spec: dict[str, Any], inputs: str, name: str, definition: dict[str, Any]) -> None:
    """Takes an input from the Pusher that it need not be given."""
    spec["components"]["Pusher"]["inputDefinitions"][inputs][name].update(definition)
    task(spec)["inputs"][inputs].pop(name)


@pytest.mark.parametrize("target", [Target.KFP, Target.VERTEX])
@pytest.mark.parametrize(
    "change",
    [
        lambda spec: optional(spec, "artifacts", "model", {"isOptional": True}),
        lambda spec: optional(spec, "parameters", "keep_versions", {"isOptional": True}),
        lambda spec: optional(spec, "parameters", "keep_versions", {"defaultValue": 0}),
        lambda spec: executor(spec)["container"].pop("resources"),
        limited("cpuLimit", 0),
        limited("memoryLimit", 0.5),
        defaulting("epochs", 60.0),
        defaulting("epochs", 0),
        defaulting("learning_rate", 1),
        defaulting("data", ""),
    ],
)
def test_what_need_not_be_there_is_no_fault(change, target):
    assert faults(changed(change, target)) == []


@pytest.mark.parametrize("target", [Target.KFP, Target.VERTEX])
def test_no_setting_of_the_cluster_is_a_fault(target):
    assert faults(compiled(target, EVERY_SETTING)) == []


def test_a_spec_that_holds_itself_is_refused():
    def endless(spec: dict[str, Any]) -> None:
        spec["deploymentSpec"]["executors"] = spec["deploymentSpec"]

    [fault] = faults(changed(endless))
    assert fault.startswith("not a PipelineSpec: maximum recursion depth exceeded")


def test_a_circle_of_tasks_is_told_task_by_task():
    def circle(spec: dict[str, Any]) -> None:
        task(spec, "FolderFingerprint").update(dependentTasks=["DataGate"])

    [fault] = faults(changed(circle))
    assert fault.startswith("tasks wait for themselves: ")
    names = fault.removeprefix("tasks wait for themselves: ").split(" -> ")
    assert names[0] == names[-1]
    assert set(names) == {"FolderFingerprint", "ImportExampleGen", "DataGate"}


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
        renamed(spec, "My_RunReport")

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
