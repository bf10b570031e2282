"""What Kubeflow or Vertex AI would refuse is refused before they see it."""

import copy
import math
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
    "_ in a name": (lambda spec: renamed(spec, "My_RunReport"), "task My_RunReport: only letters"),
    ". in a name": (lambda spec: renamed(spec, "My.RunReport"), "task My.RunReport: only letters"),
    "- at the end of a name": (lambda spec: renamed(spec, "RunReport-"), "task RunReport-: only"),
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
    "missing artifact": (
        lambda spec: task(spec)["inputs"]["artifacts"].pop("model"),
        "task Pusher: it is not given its artifact model",
    ),
    "artifact from nowhere": (
        lambda spec: task(spec)["inputs"]["artifacts"].update(model={}),
        "task Pusher: it is not given its artifact model",
    ),
    "missing parameter": (
        lambda spec: task(spec)["inputs"]["parameters"].pop("keep_versions"),
        "task Pusher: it is not given its parameter keep_versions",
    ),
    "no inputs at all": (
        lambda spec: task(spec, "CuratedSchema").pop("inputs"),
        "task CuratedSchema: it is not given its parameter text",
    ),
    "missing output": (
        lambda spec: artifact(spec).update(outputArtifactKey="modle"),
        "task Pusher: task Trainer has no output artifact modle, which is to be its artifact model",
    ),
    "output without name": (
        lambda spec: artifact(spec).pop("outputArtifactKey"),
        "task Pusher: task Trainer has no output artifact (none is named), which",
    ),
    "output of no task": (
        lambda spec: artifact(spec).pop("producerTask"),
        "task Pusher: no producerTask is named for output artifact model, which",
    ),
    "missing output parameter": (
        lambda spec: task(spec, "ImportExampleGen")["inputs"]["parameters"]["folder_fingerprint"][
            "taskOutputParameter"
        ].update(outputParameterKey="print"),
        "task ImportExampleGen: task FolderFingerprint has no output parameter print, which is to "
        "be its parameter folder_fingerprint",
    ),
    "missing parameter of the run": (
        lambda spec: task(spec)["inputs"]["parameters"]["destination"].update(
            componentInputParameter="destination"
        ),
        "task Pusher: the run has no parameter destination, which is to be its parameter destin",
    ),
    "missing artifact of the run": (
        lambda spec: task(spec)["inputs"]["artifacts"].update(
            model={"componentInputArtifact": "model"}
        ),
        "task Pusher: the run has no artifact model, which is to be its artifact model",
    ),
    "tasks in a circle": (
        lambda spec: task(spec, "Trainer").update(dependentTasks=["Pusher"]),
        "tasks wait for themselves: ",
    ),
    "task after itself": (
        lambda spec: task(spec)["dependentTasks"].append("Pusher"),
        "tasks wait for themselves: Pusher -> Pusher",
    ),
    "text for an integer": (
        defaulting("epochs", "sixty"),
        "the run's parameter epochs is NUMBER_INTEGER, its default 'sixty'",
    ),
    "fraction for an integer": (defaulting("epochs", 1.5), "is NUMBER_INTEGER, its default 1.5"),
    "infinity for an integer": (defaulting("epochs", math.inf), "epochs.defaultValue is inf, a n"),
    "truth value for an integer": (defaulting("epochs", True), "epochs is NUMBER_INTEGER"),
    "text for a number": (defaulting("learning_rate", "1e-05"), "is NUMBER_DOUBLE"),
    "nan for a number": (
        defaulting("learning_rate", math.nan),
        "root.inputDefinitions.parameters.learning_rate.defaultValue is nan, a number that JSON ",
    ),
    "infinity for a number": (
        defaulting("learning_rate", -math.inf),
        "defaultValue is -inf, a number",
    ),
    "null for a number": (defaulting("learning_rate", None), "is NUMBER_DOUBLE, its default None"),
    "number for text": (defaulting("data", 7), "data is STRING, its default 7"),
    "no pipelineInfo": (lambda spec: spec.pop("pipelineInfo"), "pipelineInfo.name is missing"),
    "no name": (lambda spec: spec["pipelineInfo"].pop("name"), "pipelineInfo.name is missing"),
    "empty executor": (
        lambda spec: executor(spec).clear(),
        "executor Pusher_executor: it is empty",
    ),
    "empty container": (
        lambda spec: executor(spec)["container"].clear(),
        "executor Pusher_executor: its container has no image",
    ),
    "container without image": (
        lambda spec: executor(spec)["container"].pop("image"),
        "executor Pusher_executor: its container has no image",
    ),
    "less than no memory": (
        limited("memoryLimit", -1),
        "executor Pusher_executor: memoryLimit is -1.0, not a number above 0",
    ),
    "nan CPUs": (limited("cpuLimit", math.nan), "container.resources.cpuLimit is nan, a number"),
    "endless CPUs": (
        limited("cpuLimit", math.inf),
        "container.resources.cpuLimit is inf, a number",
    ),
    "endless memory, in text": (limited("memoryLimit", "Infinity"), "memoryLimit is Infinity"),
    "no tasks": (lambda spec: spec["root"]["dag"].clear(), "there are no tasks"),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_spec_that_no_target_takes_is_refused(what):
    change, fault = CHANGES[what]
    for target in (Target.KFP, Target.VERTEX):
        found = faults(changed(change, target))
        assert fault in found[0]
        assert "\n" not in found[0]
        assert len(found) == 1


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
