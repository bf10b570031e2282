"""What the Tuner chose, in place of what the config says."""

import copy
import logging
from collections.abc import Mapping
from typing import Any

from tfx.components.trainer.fn_args_utils import FnArgs

logger = logging.getLogger(__name__)


def tuned(fn_args: FnArgs) -> FnArgs:
    """The arguments with the Tuner's best values in their config; as they are without a Tuner.

    Args:
      fn_args: Of `run_fn`.
    """
    if not fn_args.hyperparameters:
        return fn_args
    values = fn_args.hyperparameters["values"]
    logger.info(f"by the Tuner: {describe(values)}")
    return with_values(fn_args, values)


def with_values(fn_args: FnArgs, values: Mapping[str, Any]) -> FnArgs:
    """The arguments with other values in their config.

    Args:
      fn_args: Of `run_fn`; not changed.
      values: By section and field of the config, e.g. `trainer.learning_rate`.
    """
    config = copy.deepcopy(fn_args.custom_config)
    for name, value in values.items():
        section, field = name.split(".")
        config[section][field] = value
    changed = copy.copy(fn_args)
    changed.custom_config = config
    return changed


def describe(values: Mapping[str, Any]) -> str:
    """Values for people: `model.width 0.5, trainer.learning_rate 0.1`."""
    return ", ".join(f"{name} {value}" for name, value in values.items())
