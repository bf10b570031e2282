"""What the search's tests share: the arguments of `tuner_fn`."""

import dataclasses

import pytest
from tfx.components.trainer.fn_args_utils import FnArgs

from pipeline.training_config import TunerConfig

RATES = (0.1, 0.2, 0.4)
DECAYS = (0.0, 1e-3)


@pytest.fixture
def search_args(fn_args):
    """Function: fields of the config's section `tuner` → `tuner_fn`'s arguments, anew each time."""

    def search_args(**fields: object) -> FnArgs:
        tuner = TunerConfig(
            **{"epochs": 1, "learning_rates": RATES, "weight_decays": DECAYS, **fields}
        )
        args = fn_args()
        # As TFX's Tuner gives them.
        args.transform_graph_path, args.transform_output = args.transform_output, None
        args.working_dir = args.model_run_dir
        args.custom_config["tuner"] = dataclasses.asdict(tuner)
        args.custom_config["space"] = tuner.space
        return args

    return search_args
