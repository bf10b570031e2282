"""TFX's Trainer, with the numbers that a run may set as parameters of their own."""

from typing import Any

from tfx import types
from tfx.components import Trainer
from tfx.components.trainer import executor as trainer_executor
from tfx.dsl.components.base import base_component, executor_spec
from tfx.orchestration.data_types import RuntimeParameter
from tfx.proto.trainer_pb2 import EvalArgs, TrainArgs
from tfx.types import artifact_utils, component_spec, standard_artifacts, standard_component_specs
from tfx.utils import json_utils

from components.ingest.report import DataReport, read_report
from components.train.run_parameters import check_run_parameters
from dataset import record

EPOCHS = "epochs"  # parameter
LEARNING_RATE = "learning_rate"  # parameter
REPORT = "report"  # input

# What `complete_config` needs of a component, in TFX's terms.
RUN_PARAMETERS = {
    EPOCHS: component_spec.ExecutionParameter(type=int),
    LEARNING_RATE: component_spec.ExecutionParameter(type=float),
}
REPORT_INPUT = {REPORT: component_spec.ChannelParameter(type=DataReport)}

Artifacts = dict[str, list[types.Artifact]]


class Executor(trainer_executor.GenericExecutor):
    """TFX's executor; `run_fn` finds all in `custom_config`."""

    def Do(  # noqa: N802
        self, input_dict: Artifacts, output_dict: Artifacts, exec_properties: dict[str, Any]
    ) -> None:
        """See the base class."""
        super().Do(input_dict, output_dict, complete_config(input_dict, exec_properties))


def complete_config(input_dict: Artifacts, exec_properties: dict[str, Any]) -> dict[str, Any]:
    """A component's parameters, with all that training needs in their `custom_config`.

    Args:
      input_dict: Its inputs, with `report`.
      exec_properties: Its parameters, with `epochs` and `learning_rate`.

    Raises:
      ValueError: The config would refuse one of these two.
    """
    given = {name: exec_properties[name] for name in (EPOCHS, LEARNING_RATE)}
    check_run_parameters(**given)
    key = standard_component_specs.CUSTOM_CONFIG_KEY
    config = json_utils.loads(exec_properties[key])
    config["trainer"] |= given
    report = read_report(artifact_utils.get_single_uri(input_dict[REPORT]))
    config["class_names"] = report.class_names
    config["record_bytes"] = report.record_bytes(record.TRAIN)
    config["validation_examples"] = report.good(record.VAL)
    return {**exec_properties, key: json_utils.dumps(config)}


class FishNetTrainer(Trainer):
    """TFX's Trainer with the executor above and `run_fn` of this package.

    A parameter of a run can only be a component's parameter by itself: inside `custom_config` TFX
    compiles it to a literal, silently.

    Args:
      epochs: In place of the config's `trainer.epochs`.
      learning_rate: Likewise.
      custom_config: As `run_fn` wants it, without what the report tells.
      inputs: `examples`, `transform_graph`, `schema` and, where there is a Tuner, `hyperparameters`
        as TFX's Trainer has them, and `report`, ImportExampleGen's.
    """

    class SPEC_CLASS(standard_component_specs.TrainerSpec):  # noqa: D106, N801
        PARAMETERS = {  # noqa: RUF012
            **standard_component_specs.TrainerSpec.PARAMETERS,
            **RUN_PARAMETERS,
        }
        INPUTS = {**standard_component_specs.TrainerSpec.INPUTS, **REPORT_INPUT}  # noqa: RUF012

    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        *,
        epochs: int | RuntimeParameter,
        learning_rate: float | RuntimeParameter,
        custom_config: dict[str, Any],
        **inputs: types.BaseChannel | None,
    ) -> None:
        spec = self.SPEC_CLASS(
            **inputs,
            run_fn="components.train.run.run_fn",
            train_args=TrainArgs(splits=[record.TRAIN]),
            eval_args=EvalArgs(splits=[record.VAL]),
            epochs=epochs,
            learning_rate=learning_rate,
            custom_config=json_utils.dumps(custom_config),
            model=types.Channel(type=standard_artifacts.Model),
            model_run=types.Channel(type=standard_artifacts.ModelRun),
        )
        # The constructor between would build a spec of its own.
        base_component.BaseComponent.__init__(self, spec=spec)
