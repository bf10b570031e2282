"""What TFX's Trainer gives to `run_fn`."""

import dataclasses

import pytest
from tfx.components.trainer.fn_args_utils import FnArgs

from pipeline.training_config import AugmentConfig, ModelConfig, TrainerConfig

HPARAMS = dataclasses.asdict(
    TrainerConfig(
        epochs=2,
        batch_size=8,
        warmup_epochs=1.0,
        average=0.9,
        class_balance=0.5,
        precision="float32",
    )
)
# All that is random.
AUGMENT = dataclasses.asdict(
    AugmentConfig(shift=1, min_area=0.5, trivial=True, erase=0.5, mixup=0.2, cutmix=1.0)
)
TINY = dataclasses.asdict(ModelConfig("fishnet_tiny", stem="small"))
NO_WEIGHTS = {"file": "", "sha256": "", "champion": False}
NAMES = ["ant", "bee", "cat", "dog", "eel", "fox"]


@pytest.fixture
def fn_args(tmp_path, examples, transform_output):
    """Function: what differs from `HPARAMS` → `run_fn`'s arguments of another execution."""
    executions = []

    def fn_args(**hparams: object) -> FnArgs:
        executions.append(tmp_path / f"execution {len(executions)}")
        return FnArgs(
            train_files=examples,
            eval_files=examples,
            transform_output=transform_output._transform_output_dir,
            serving_model_dir=str(executions[-1] / "model"),
            model_run_dir=str(executions[-1] / "run"),
            custom_config={
                "trainer": {**HPARAMS, **hparams},
                "augment": AUGMENT,
                "model": TINY,
                "weights": NO_WEIGHTS,
                "class_names": NAMES,
                "materialized": False,
                "record_bytes": 500.0,
                "validation_examples": 24,
                "checkpoints": str(tmp_path / "checkpoints"),
                "source": "0",
            },
        )

    return fn_args
