"""RunReport: the last node, also of a run that is refused or fails: a page and a model card."""

import json
from typing import Any

from tfx import types
from tfx.dsl.components.base import base_component, base_executor, executor_spec
from tfx.orchestration.data_types import RuntimeParameter
from tfx.types import artifact_utils, component_spec, standard_artifacts

from components.ingest.report import DataReport
from components.push.serving_gate import ServingReport
from components.report import keys, outcome
from components.report.facts import gather
from components.report.model_card import render_card
from components.report.page import render_page
from components.train.storage import read_file, write_file

PAGE_FILE = "report.html"
CARD_FILE = "model_card.md"

# Parameters.
CONFIG = "config"
EPOCHS = "epochs"
LEARNING_RATE = "learning_rate"
SUMMARY = "summary"

# Of what only a runner knows.
WITHOUT_RUNNER: dict[str, Any] = {
    "message": "",
    "started": "",
    "command": "",
    "data": "",
    "log": "",
    "components": {},
}

Artifacts = dict[str, list[types.Artifact]]


class Executor(base_executor.BaseExecutor):
    """Reads what the nodes left and writes the report of it."""

    def Do(  # noqa: N802
        self, input_dict: Artifacts, output_dict: Artifacts, exec_properties: dict[str, Any]
    ) -> None:
        """See the base class."""
        config = json.loads(exec_properties[CONFIG])
        config["trainer"] |= {name: exec_properties[name] for name in (EPOCHS, LEARNING_RATE)}
        if exec_properties[SUMMARY]:
            summary = json.loads(read_file(exec_properties[SUMMARY]))
        else:
            summary = {
                **WITHOUT_RUNNER,
                "verdict": outcome.verdict(input_dict).value,
                **outcome.summary(input_dict, config["evaluator"]),
            }
        facts = gather(input_dict, summary, config)
        for key, name, text in (
            (keys.PAGE, PAGE_FILE, render_page(facts)),
            (keys.CARD, CARD_FILE, render_card(facts)),
        ):
            artifact = artifact_utils.get_single_instance(output_dict[key])
            artifact.uri = f"{artifact.uri}/{name}"  # Kubeflow's page shows files, not folders
            write_file(artifact.uri, text.encode())


def _optional(artifact_type: type[types.Artifact]) -> component_spec.ChannelParameter:
    return component_spec.ChannelParameter(type=artifact_type, optional=True)


class _Spec(component_spec.ComponentSpec):
    PARAMETERS = {  # noqa: RUF012
        CONFIG: component_spec.ExecutionParameter(type=str),
        EPOCHS: component_spec.ExecutionParameter(type=int),
        LEARNING_RATE: component_spec.ExecutionParameter(type=float),
        SUMMARY: component_spec.ExecutionParameter(type=str),
    }
    # Of a run that failed there are some.
    INPUTS = {  # noqa: RUF012
        keys.DATA_REPORT: _optional(DataReport),
        keys.EXAMPLES: _optional(standard_artifacts.Examples),
        keys.ANOMALIES: _optional(standard_artifacts.ExampleAnomalies),
        keys.SKEW: _optional(standard_artifacts.ExampleAnomalies),
        keys.TRANSFORM_GRAPH: _optional(standard_artifacts.TransformGraph),
        keys.TRIALS: _optional(standard_artifacts.TunerResults),
        keys.MODEL: _optional(standard_artifacts.Model),
        keys.MODEL_RUN: _optional(standard_artifacts.ModelRun),
        keys.CHAMPION: _optional(standard_artifacts.Model),
        keys.EVALUATION: _optional(standard_artifacts.ModelEvaluation),
        keys.BLESSING: _optional(standard_artifacts.ModelBlessing),
        keys.SERVING_REPORT: _optional(ServingReport),
        keys.PUSHED_MODEL: _optional(standard_artifacts.PushedModel),
    }
    OUTPUTS = {  # noqa: RUF012
        keys.PAGE: component_spec.ChannelParameter(type=keys.ReportFile),
        keys.CARD: component_spec.ChannelParameter(type=keys.ReportFile),
    }


class RunReport(base_component.BaseComponent):
    """The node.

    Args:
      config: The run's, section → field → value, but for the parameters that follow.
      epochs: As `trainer.epochs` in the config.
      learning_rate: As `trainer.learning_rate`.
      summary: File with what the runner knows of the run, as `summary.json` has it; empty where
        there is no such runner, on a cluster: the artifacts must tell it.
      channels: By the keys of `keys.py`, those that the pipeline has.
    """

    SPEC_CLASS = _Spec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        *,
        config: dict[str, Any],
        epochs: int | RuntimeParameter,
        learning_rate: float | RuntimeParameter,
        summary: str,
        **channels: types.BaseChannel,
    ) -> None:
        spec = _Spec(
            config=json.dumps(config, sort_keys=True),
            epochs=epochs,
            learning_rate=learning_rate,
            summary=summary,
            page=types.Channel(type=keys.ReportFile),
            card=types.Channel(type=keys.ReportFile),
            **channels,
        )
        super().__init__(spec=spec)
