"""The command of every task on open-source Kubeflow Pipelines, around TFX's own.

TFX's entry point was made for Vertex AI. On Kubeflow Pipelines 2 it dies at the second component,
as the launcher gives it no types of input artifacts; TensorFlow and Beam cannot read the object
store; ExampleGen's driver is not run. Here the invocation that the launcher passes is made what
TFX's expects, and what comes out is made what the launcher expects.
"""

import argparse
import json
import logging
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tfx.components.example_gen import base_example_gen_executor
from tfx.orchestration.kubeflow.v2.container import kubeflow_v2_run_executor
from tfx.orchestration.kubeflow.v2.file_based_example_gen import driver
from tfx.types.standard_component_specs import INPUT_BASE_KEY
from tfx.utils import import_utils, io_utils

from cli.beam_runners import RUNNERS
from components.push.launcher_paths import to_local, to_remote
from components.report.keys import KUBEFLOW_TYPES, ReportFile
from deploy import object_store

OUTPUT_FILE = "output_metadata.json"
GOOGLE = "gs://"  # which TensorFlow and Beam read by themselves

logger = logging.getLogger(__name__)

Json = dict[str, Any]


def main(argv: Sequence[str]) -> None:
    """Runs a component.

    Args:
      argv: As TFX's compiler writes it, the launcher's ExecutorInput filled in.
    """
    # TFX lets the pod's log have absl's lines alone: none of ours, of the epochs say. By force:
    # something among its imports has set the log up already.
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", force=True
    )
    object_store.register()
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--executor_class_path", required=True)
    parser.add_argument("--json_serialized_invocation_args", required=True)
    parser.add_argument("--json_serialized_inputs_spec_args", required=True)
    arguments, beam_args = parser.parse_known_args(argv)
    invocation = json.loads(arguments.json_serialized_invocation_args)
    spec = json.loads(arguments.json_serialized_inputs_spec_args)

    fill_types(invocation, spec)
    on_workers = f"--runner={RUNNERS['local']}" not in beam_args
    localize(invocation, keep_google=on_workers)
    launchers_file = invocation["outputs"]["outputFile"]
    if on_workers:
        invocation["outputs"]["outputFile"] = beside_outputs(invocation)
    output_file = invocation["outputs"]["outputFile"]
    executor = import_utils.import_class_by_path(arguments.executor_class_path)
    with tempfile.TemporaryDirectory() as staged:
        if issubclass(executor, base_example_gen_executor.BaseExampleGenExecutor):
            run_driver(invocation, spec)
            stage_data(invocation, staged)
        arguments.json_serialized_invocation_args = json.dumps(invocation)
        kubeflow_v2_run_executor.main((arguments, beam_args))
    output = json.loads(io_utils.read_string_file(output_file))
    io_utils.write_string_file(launchers_file, json.dumps(for_launcher(output, invocation)))


def fill_types(invocation: Json, spec: Json) -> None:
    """Gives input artifacts their types, which the launcher leaves empty or tells in its own way.

    Output artifacts of Kubeflow's own types get TFX's, which knows no others.

    Args:
      invocation: The ExecutorInput; changed.
      spec: The component's ComponentInputsSpec.
    """
    for key, artifact in _artifacts(invocation, "inputs"):
        artifact["type"] = spec["artifacts"][key]["artifactType"]
    for _, artifact in _artifacts(invocation, "outputs"):
        if artifact.get("type", {}).get("schemaTitle") in KUBEFLOW_TYPES.values():
            artifact["type"] = {"schemaTitle": f"tfx.{ReportFile.__name__}"}


def localize(invocation: Json, keep_google: bool) -> None:
    """Has artifacts be where the launcher has downloaded them to, and uploads them from.

    Args:
      invocation: The ExecutorInput; changed.
      keep_google: Whether to leave those in Google's store there, since Beam's workers, on other
        machines, see nothing of this one.
    """
    # TFX's entry point makes no folders: in an object store there is nothing to make. Whatever lies
    # elsewhere, the launcher looks into the folder too.
    values = invocation["outputs"].get("parameters", {})  # single values, each a file
    for key, artifact in _artifacts(invocation, "outputs"):
        folder = Path(to_local(artifact["uri"]))
        (folder.parent if key in values else folder).mkdir(parents=True, exist_ok=True)
    for _, artifact in [*_artifacts(invocation, "inputs"), *_artifacts(invocation, "outputs")]:
        if not (keep_google and artifact["uri"].startswith(GOOGLE)):
            artifact["uri"] = to_local(artifact["uri"])


def _artifacts(invocation: Json, side: str) -> Iterator[tuple[str, Json]]:
    """Yields the artifacts among the `inputs` or `outputs`, with their keys."""
    for key, found in invocation.get(side, {}).get("artifacts", {}).items():
        for artifact in found["artifacts"]:
            yield key, artifact


def beside_outputs(invocation: Json) -> str:
    """Where to have TFX write what it writes of its outputs, in place of the launcher's file.

    It has Beam's temporary files beside that, which workers on other machines must see.

    Args:
      invocation: The ExecutorInput.
    """
    outputs = [artifact["uri"] for _, artifact in _artifacts(invocation, "outputs")]
    launchers_file = invocation["outputs"]["outputFile"]
    return re.sub("[^/]+$", OUTPUT_FILE, outputs[0]) if outputs else launchers_file


def stage_data(invocation: Json, folder: str) -> None:
    """Downloads the data set's folder where Beam cannot read it in the object store.

    Args:
      invocation: ExampleGen's ExecutorInput; changed.
      folder: An empty one, to download to.
    """
    parameters = invocation["inputs"]["parameterValues"]
    data = parameters[INPUT_BASE_KEY]
    if data.startswith(object_store.SCHEMES):
        logger.info("downloading %s", data)
        object_store.download(data, folder)
        parameters[INPUT_BASE_KEY] = folder


def run_driver(invocation: Json, spec: Json) -> None:
    """Runs ExampleGen's driver, which finds the span, the version and the fingerprint of the data.

    It leaves the parameters that it changed in the output file, where TFX's entry point looks, and
    the examples' properties, which that would lose.

    Args:
      invocation: ExampleGen's ExecutorInput; changed.
      spec: The component's ComponentInputsSpec.
    """
    driver.main(
        argparse.Namespace(
            json_serialized_invocation_args=json.dumps(invocation),
            json_serialized_inputs_spec_args=json.dumps(spec),
        )
    )
    driven = json.loads(io_utils.read_string_file(invocation["outputs"]["outputFile"]))
    for key, found in driven["artifacts"].items():
        [output] = invocation["outputs"]["artifacts"][key]["artifacts"]
        [artifact] = found["artifacts"]
        output["metadata"] = {**output.get("metadata", {}), **_stored(artifact)}


def for_launcher(output: Json, invocation: Json) -> Json:
    """The ExecutorOutput as the launcher takes it.

    Args:
      output: As TFX wrote it.
      invocation: The ExecutorInput.
    """
    artifacts = {}
    for key, found in output.get("artifacts", {}).items():
        [artifact] = found["artifacts"]
        artifact["uri"] = to_remote(artifact["uri"])
        artifact["metadata"] = {k: to_remote_value(v) for k, v in _stored(artifact).items()}
        artifacts[key] = {"artifacts": [artifact]}
    # The driver's parameters are none of the component's outputs: the launcher would refuse them.
    declared = invocation["outputs"].get("parameters", {})
    parameters = {
        name: value for name, value in output.get("parameterValues", {}).items() if name in declared
    }
    return {"artifacts": artifacts, "parameterValues": parameters}


def _stored(artifact: Json) -> Json:
    """An artifact's metadata without nulls, which Kubeflow's store does not take."""
    return {k: v for k, v in artifact.get("metadata", {}).items() if v is not None}


def to_remote_value(value: Any) -> Any:
    """A property's value, paths of this pod turned back into URIs."""
    return to_remote(value) if isinstance(value, str) else value


if __name__ == "__main__":
    main(sys.argv[1:])
