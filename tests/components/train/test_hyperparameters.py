import copy
import logging

from run_arguments import HPARAMS, TINY
from tfx.components.trainer.fn_args_utils import FnArgs

from components.train.hyperparameters import tuned, with_values

CONFIG = {"trainer": HPARAMS, "model": TINY, "source": "0"}
VALUES = {"model.width": 2.0, "trainer.learning_rate": 0.025}


def arguments(**more: object) -> FnArgs:
    return FnArgs(train_files=["files"], custom_config=CONFIG, **more)


def test_the_tuners_values_stand_above_the_configs(caplog):
    caplog.set_level(logging.INFO, logger="components")
    before = copy.deepcopy(CONFIG)
    found = tuned(arguments(hyperparameters={"space": [], "values": VALUES}))
    assert found.custom_config == {
        "trainer": {**HPARAMS, "learning_rate": 0.025},
        "model": {**TINY, "width": 2.0},
        "source": "0",
    }
    assert found.train_files == ["files"]
    assert caplog.messages == ["by the Tuner: model.width 2.0, trainer.learning_rate 0.025"]
    assert before == CONFIG


def test_without_a_tuner_all_is_as_the_config_says():
    args = arguments()
    assert tuned(args) is args


def test_arguments_that_are_given_other_values_stay_as_they_are():
    args = arguments()
    before = copy.deepcopy(CONFIG)
    assert with_values(args, {"trainer.epochs": 1}).custom_config["trainer"]["epochs"] == 1
    assert args.custom_config == before
