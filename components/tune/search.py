"""`tuner_fn`: what TFX's Tuner calls."""

import json
import logging
import time
from typing import Any

import keras
import keras_tuner
import tensorflow as tf
import tensorflow_transform as tft
from keras_tuner.engine import base_tuner
from keras_tuner.engine.trial import Trial as OracleTrial
from tfx.components.trainer.fn_args_utils import FnArgs
from tfx.components.tuner.component import TunerFnResult

from components.train import devices
from components.train.checkpoint import History
from components.train.hyperparameters import describe, with_values
from components.train.run import find_checkpoints
from components.train.training import Training, build_model
from components.transform.class_table import read_class_table
from components.tune import network
from components.tune.trials import DIVERGED, TRAINED, FinishedTrials, Trial, table

OBJECTIVE = "val_top1"
ORACLES = {
    "grid": keras_tuner.oracles.GridSearchOracle,
    "random": keras_tuner.oracles.RandomSearchOracle,
    "bayesian": keras_tuner.oracles.BayesianOptimizationOracle,
}
PROJECT = "search"  # folder of what KerasTuner writes

logger = logging.getLogger(__name__)


def tuner_fn(fn_args: FnArgs) -> TunerFnResult:
    """The search that `fn_args.custom_config` describes.

    Args:
      fn_args: As the Trainer's `run_fn` has them. `custom_config` has besides `space`, the values
        to choose from by section and field of the config, and the config's section `tuner`.
    """
    fn_args.transform_output = fn_args.transform_graph_path  # TFX's Trainer has both
    return TunerFnResult(tuner=Search(fn_args), fit_kwargs={})


class Search(base_tuner.BaseTuner):
    """Trains as the Trainer does, for fewer epochs, with the values that an oracle chooses.

    KerasTuner can take up a search where its files are left, but not every one: its grid ends at
    once (1.4.8 does not save where it was), a file that is half-written ends every further run,
    and it does not know of object stores. Hence its folder is the execution's own. A search that is
    started again asks for the same trials in the same order, and finds those that are finished.

    Args:
      fn_args: As `tuner_fn`'s.
    """

    def __init__(self, fn_args: FnArgs) -> None:
        config = fn_args.custom_config
        self._settings = config["tuner"]
        self._fn_args = with_values(fn_args, _shortened(config))
        self.checkpoints = find_checkpoints(fn_args, fn_args.base_model or "")
        self.trials = FinishedTrials(self.checkpoints.folder if self.checkpoints else "")
        self._costs: dict[str, network.Costs] = {}  # by the config's section `model`, as JSON
        choices = keras_tuner.HyperParameters()
        for name, values in config["space"].items():
            choices.Choice(name, list(values))
        oracle = ORACLES[self._settings["search"]](
            objective=keras_tuner.Objective(OBJECTIVE, "max"),
            max_trials=self._settings["trials"],
            hyperparameters=choices,
            # 0 would be another one each time; it grows with the trials, and NumPy's end at 2^32.
            seed=1 + config["trainer"]["seed"] % 2**31,
            # What a limit excludes has failed for KerasTuner, which would end after three.
            max_consecutive_failed_trials=self._settings["trials"] + 1,
        )
        oracle.verbose = 0
        super().__init__(
            oracle, directory=fn_args.working_dir, project_name=PROJECT, overwrite=True
        )

    def run_trial(self, trial: OracleTrial) -> dict[str, float]:
        """KerasTuner hook: trains, unless that is known or a limit forbids it.

        Raises:
          FailedTrialError: There is no result; the search goes on.
          FatalError: Anything else, with its cause; KerasTuner would go on over other errors.
        """
        number = len(self.oracle.trials)
        values = trial.hyperparameters.values
        found = self.trials.find(values)
        logger.info(f"trial {number}: {describe(values)}{', finished before' if found else ''}")
        try:
            if not found:
                found = self._try(values)
                self.trials.add(found)
        except Exception as error:
            raise keras_tuner.errors.FatalError(f"{type(error).__name__}: {error}") from error
        if found.val_top1 is None:
            logger.info(f"trial {number}: {found.status}")
            raise keras_tuner.errors.FailedTrialError(found.status)
        logger.info(f"trial {number}: {OBJECTIVE} {found.val_top1:.4f}")
        return {OBJECTIVE: found.val_top1}

    def on_search_end(self) -> None:
        """KerasTuner hook.

        Raises:
          ValueError: No trial has a result.
        """
        found = self.trials.ranked()
        if not found or found[0].val_top1 is None:
            raise ValueError(
                "no trial of the Tuner was within tuner.max_parameters and tuner.max_latency_ms "
                f"and trained to its end; widen the space or the limits:\n{table(found)}"
            )

    def _try(self, values: dict[str, Any]) -> Trial:
        fn_args = with_values(self._fn_args, values)
        costs = self._measure(fn_args)
        status, top1 = self._over_limit(costs), None
        started = time.monotonic()
        if not status:
            status, top1 = _train(fn_args)
        return Trial(
            values=dict(values),
            parameters=costs.parameters,
            latency_ms=costs.latency_ms,
            val_top1=top1,
            seconds=time.monotonic() - started,
            status=status,
        )

    def _measure(self, fn_args: FnArgs) -> network.Costs:
        config = fn_args.custom_config
        key = json.dumps(config["model"], sort_keys=True)
        if key not in self._costs:
            transform_output = tft.TFTransformOutput(fn_args.transform_output)
            classes = read_class_table(transform_output, config["class_names"])
            self._costs[key] = network.measure(
                build_model(config["model"], transform_output, classes, devices.FLOAT32)
            )
        return self._costs[key]

    def _over_limit(self, costs: network.Costs) -> str:
        """The limit that a network is over; empty if none."""
        for field in ("parameters", "latency_ms"):
            limit = self._settings[f"max_{field}"]
            if limit and getattr(costs, field) > limit:
                return f"over max_{field}"
        return ""


def _shortened(config: dict[str, Any]) -> dict[str, Any]:
    """What a trial has in place of the config's values, whatever it tries.

    What is counted in epochs shrinks with their number: a trial might end before its warm-up does.
    """
    epochs = config["tuner"]["epochs"]
    share = epochs / config["trainer"]["epochs"]
    return {
        "trainer.epochs": epochs,
        "trainer.warmup_epochs": config["trainer"]["warmup_epochs"] * share,
        "augment.unmixed_epochs": round(config["augment"]["unmixed_epochs"] * share),
    }


def _train(fn_args: FnArgs) -> tuple[str, float | None]:
    """The trial's status, and its top-1 on the validation split after the last epoch."""
    keras.utils.clear_session()  # of the trial before
    history: History = []
    try:
        Training(fn_args).fit(history)
    except FloatingPointError as error:
        logger.info(str(error))
        return DIVERGED, None
    except tf.errors.ResourceExhaustedError as error:  # a GPU's memory
        logger.info(str(error))
        return "out of memory", None
    return TRAINED, history[-1][OBJECTIVE]
