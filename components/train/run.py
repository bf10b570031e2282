"""`run_fn`: what TFX's Trainer calls."""

import keras
from tfx.components.trainer.fn_args_utils import FnArgs

from components.train import devices
from components.train.callbacks import write_curves, write_history
from components.train.checkpoint import Checkpoints, SaveCheckpoints
from components.train.curves import CURVES_FILE, draw_curves
from components.train.export import export
from components.train.golden import GOLDEN_IMAGES, golden_answers, write_golden
from components.train.hyperparameters import tuned
from components.train.reuse import write_model
from components.train.storage import write_file
from components.train.training import Training, build_model
from components.train.warmup import write_warmup


def run_fn(fn_args: FnArgs) -> None:
    """Trains the network that `fn_args.custom_config` describes and exports it.

    The exported model has warm-up requests with it; golden answers are written to `model_run_dir`.

    Args:
      fn_args: TFX's. `custom_config` has `trainer`, `augment` and `model` (sections of the
        pipeline's config), `weights` (as `initial_weights.read` has it), `class_names`,
        `materialized`, `record_bytes` (mean size of a training record), `validation_examples`
        (their number), and `checkpoints`, a folder that outlives this execution; if it is empty,
        an interrupted training begins anew. `hyperparameters` are those that the Tuner found, where
        there is one; they stand above the config's.
    """
    fn_args = tuned(fn_args)
    training = Training(fn_args)
    checkpoints = find_checkpoints(fn_args, training.initial.sha256 if training.initial else "")
    history = checkpoints.restore(training.variables) if checkpoints else []
    if history:
        write_curves(fn_args.model_run_dir, history, training.steps)
        write_history(fn_args.model_run_dir, history)
    saving = [SaveCheckpoints(checkpoints, training.variables, history)] if checkpoints else []
    training.fit(
        history,
        keras.callbacks.TensorBoard(fn_args.model_run_dir, write_graph=False),
        keras.callbacks.LambdaCallback(
            on_epoch_end=lambda *_: write_history(fn_args.model_run_dir, history)
        ),
        *saving,
    )
    write_file(f"{fn_args.model_run_dir}/{CURVES_FILE}", draw_curves(history).encode())
    _export(fn_args, training)
    if checkpoints:
        checkpoints.delete()


def find_checkpoints(fn_args: FnArgs, initial: str) -> Checkpoints | None:
    """Where the config has a folder for them; it is made, and what is abandoned there deleted.

    Raises:
      OSError: The folder cannot be written.
    """
    folder = fn_args.custom_config["checkpoints"]
    if not folder:
        return None
    identity = [fn_args.custom_config, fn_args.train_files, fn_args.transform_output, initial]
    checkpoints = Checkpoints(folder, identity)
    checkpoints.begin()
    checkpoints.delete_abandoned()
    return checkpoints


def _export(fn_args: FnArgs, training: Training) -> None:
    """Writes what is served, and what it must answer to some of the validation images."""
    # What is served computes in float32 on whatever device the server has.
    transform_output, classes = training.transform_output, training.classes
    config = fn_args.custom_config["model"]
    served = build_model(config, transform_output, classes, devices.FLOAT32)
    served.set_weights(training.model.get_weights())
    export(served, transform_output, classes.names, fn_args.serving_model_dir)
    images = training.validation_images(GOLDEN_IMAGES)
    write_warmup(fn_args.serving_model_dir, images, *served.input_shape[1:3])
    golden = golden_answers(served, transform_output, classes.names, images)
    write_golden(fn_args.model_run_dir, golden)
    write_model(served, config, transform_output, classes.names, fn_args.serving_model_dir)
