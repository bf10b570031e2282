"""Pusher: a version appears in the serving folder whole or not at all, and never twice."""

import functools
from pathlib import Path
from typing import Any

import tensorflow_model_analysis as tfma
from tfx import types
from tfx.components.pusher import executor as pusher_executor
from tfx.dsl.components.base import base_component, executor_spec
from tfx.dsl.io import fileio
from tfx.orchestration.data_types import RuntimeParameter
from tfx.types import artifact_utils, component_spec, standard_artifacts, standard_component_specs

from components.ingest.report import REPORT_FILE, DataReport
from components.push.launcher_paths import to_remote
from served_model.files import digest, model_files
from served_model.receipt import Receipt
from served_model.store import VersionStore, copy_model
from served_model.versions import VersionFolder

UNCHANGED = "unchanged"  # int property of the pushed model: 1 if there was no need to push it

# Inputs, for the receipt.
EVALUATION = "evaluation"
DATA_REPORT = "data_report"

# Parameters. The folder is one by itself, and not in TFX's proto, so that a run can set it.
DESTINATION = "destination"
KEEP_VERSIONS = "keep_versions"
SOURCE = "source"
PIPELINE = "pipeline"
RUN = "run"

Artifacts = dict[str, list[types.Artifact]]


class Executor(pusher_executor.Executor):
    """TFX's executor, which copies file by file into the folder that a server polls, made atomic.

    A model that is the newest version already, byte for byte, is not pushed again.
    """

    def Do(  # noqa: N802
        self, input_dict: Artifacts, output_dict: Artifacts, exec_properties: dict[str, Any]
    ) -> None:
        """See the base class."""
        pushed_model = artifact_utils.get_single_instance(
            output_dict[standard_component_specs.PUSHED_MODEL_KEY]
        )
        if not self.CheckBlessing(input_dict):
            self._MarkNotPushed(pushed_model)
            return
        base = exec_properties[DESTINATION].rstrip("/")
        keep = exec_properties[KEEP_VERSIONS]
        model = self.GetModelPath(input_dict)
        receipt = self._receipt(model, input_dict, exec_properties)
        if "://" in base:
            version, pushed = VersionStore(base, fileio).push(model, receipt, keep)
        else:
            copy = functools.partial(copy_model, model, files=fileio)
            version, pushed = VersionFolder(Path(base)).push(copy, receipt, keep)
        if pushed:
            copy_model(model, pushed_model.uri, fileio)
        self._MarkPushed(pushed_model, f"{base}/{version}", str(version))
        pushed_model.set_int_custom_property(UNCHANGED, int(not pushed))

    def _receipt(
        self, model: str, input_dict: Artifacts, exec_properties: dict[str, Any]
    ) -> Receipt:
        names = model_files(model, fileio.walk)
        # Of a run on a cluster TFX's context knows nothing.
        known: dict[str, Any] = {
            "run": exec_properties.get(RUN) or self._context.pipeline_run_id or ""
        }
        if EVALUATION in input_dict:
            evaluation = artifact_utils.get_single_instance(input_dict[EVALUATION])
            known["metrics"] = _metrics(evaluation.uri)
        if DATA_REPORT in input_dict:
            report = artifact_utils.get_single_instance(input_dict[DATA_REPORT])
            known["data_digest"] = digest(report.uri, [REPORT_FILE], fileio.open)
        return Receipt(
            model_digest=digest(model, names, fileio.open),
            model_uri=to_remote(model),
            code_digest=exec_properties[SOURCE],
            pipeline=exec_properties[PIPELINE],
            **known,
        )


def _metrics(evaluation: str) -> dict[str, float]:
    """The figures of an evaluation on the whole validation split."""
    metrics = tfma.load_eval_result(evaluation).get_metrics_for_slice()
    return {name: value["doubleValue"] for name, value in metrics.items() if "doubleValue" in value}


class _Spec(standard_component_specs.PusherSpec):
    PARAMETERS = {  # noqa: RUF012
        DESTINATION: component_spec.ExecutionParameter(type=str),
        KEEP_VERSIONS: component_spec.ExecutionParameter(type=int),
        SOURCE: component_spec.ExecutionParameter(type=str),
        PIPELINE: component_spec.ExecutionParameter(type=str),
        RUN: component_spec.ExecutionParameter(type=str, optional=True),
    }
    INPUTS = {  # noqa: RUF012
        **standard_component_specs.PusherSpec.INPUTS,
        EVALUATION: component_spec.ChannelParameter(
            type=standard_artifacts.ModelEvaluation, optional=True
        ),
        DATA_REPORT: component_spec.ChannelParameter(type=DataReport, optional=True),
    }


class AtomicPusher(base_component.BaseComponent):
    """TFX's Pusher with the executor above.

    Args:
      destination: The folder of versions that a server polls, or its URI in an object store.
      keep_versions: How many versions stay in the folder.
      source: Digest of the code that the model is trained by, for the receipt.
      pipeline: The pipeline's name, for the receipt.
      run: The run's id, for the receipt; by default what TFX calls the run.
      inputs: As TFX's Pusher has them; for the receipt also `evaluation` and `data_report`.
    """

    SPEC_CLASS = _Spec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        *,
        destination: str | RuntimeParameter,
        keep_versions: int,
        source: str,
        pipeline: str,
        run: str | None = None,
        **inputs: types.BaseChannel,
    ) -> None:
        spec = _Spec(
            **inputs,
            destination=destination,
            keep_versions=keep_versions,
            source=source,
            pipeline=pipeline,
            run=run,
            pushed_model=types.Channel(type=standard_artifacts.PushedModel),
        )
        super().__init__(spec=spec)
