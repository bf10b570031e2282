"""TFX's Tuner, with the numbers that a run may set, and a table of all trials."""

from typing import Any

from tfx import types
from tfx.components import Tuner
from tfx.components.tuner import executor as tuner_executor
from tfx.dsl.components.base import base_component, executor_spec
from tfx.orchestration.data_types import RuntimeParameter
from tfx.proto.trainer_pb2 import EvalArgs, TrainArgs
from tfx.types import artifact_utils, standard_artifacts, standard_component_specs
from tfx.utils import json_utils

from components.train.component import REPORT_INPUT, RUN_PARAMETERS, Artifacts, complete_config
from components.tune.trials import write_trials
from dataset import record


class Executor(tuner_executor.Executor):
    """TFX's executor; it also writes `trials.json`, and tells the log what it prints."""

    def Do(  # noqa: N802
        self, input_dict: Artifacts, output_dict: Artifacts, exec_properties: dict[str, Any]
    ) -> None:
        """See the base class."""
        search = tuner_executor.search(
            input_dict,
            complete_config(input_dict, exec_properties),
            self._get_tmp_dir(),
            print_tuning_summary=False,
        )
        tuner_executor.write_best_hyperparameters(search, output_dict)
        results = output_dict[standard_component_specs.TUNER_RESULTS_KEY]
        write_trials(artifact_utils.get_single_uri(results), search.trials.ranked())
        if search.checkpoints:
            search.checkpoints.delete()


class FishNetTuner(Tuner):
    """TFX's Tuner with the executor above and `tuner_fn` of this package.

    Args:
      epochs: In place of the config's `trainer.epochs`, as the Trainer's.
      learning_rate: Likewise.
      custom_config: As `tuner_fn` wants it, without what the report tells.
      inputs: `examples`, `transform_graph` and `schema` as TFX's Tuner has them, and `report`,
        ImportExampleGen's.
    """

    class SPEC_CLASS(standard_component_specs.TunerSpec):  # noqa: D106, N801
        PARAMETERS = {  # noqa: RUF012
            **standard_component_specs.TunerSpec.PARAMETERS,
            **RUN_PARAMETERS,
        }
        INPUTS = {**standard_component_specs.TunerSpec.INPUTS, **REPORT_INPUT}  # noqa: RUF012

    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        *,
        epochs: int | RuntimeParameter,
        learning_rate: float | RuntimeParameter,
        custom_config: dict[str, Any],
        **inputs: types.BaseChannel,
    ) -> None:
        spec = self.SPEC_CLASS(
            **inputs,
            tuner_fn="components.tune.search.tuner_fn",
            train_args=TrainArgs(splits=[record.TRAIN]),
            eval_args=EvalArgs(splits=[record.VAL]),
            epochs=epochs,
            learning_rate=learning_rate,
            custom_config=json_utils.dumps(custom_config),
            best_hyperparameters=types.Channel(type=standard_artifacts.HyperParameters),
            tuner_results=types.Channel(type=standard_artifacts.TunerResults),
        )
        # The constructor between would build a spec of its own.
        base_component.BaseComponent.__init__(self, spec=spec)
