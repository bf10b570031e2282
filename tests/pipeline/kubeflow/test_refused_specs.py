"""Each change that makes a spec one that no target takes is told in one line."""

import math

import pytest
from changing import artifact, changed, defaulting, executor, limited, renamed, task

from pipeline.kubeflow.checks import faults
from pipeline.target import Target

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
