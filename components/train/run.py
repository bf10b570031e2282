"""`run_fn`: what TFX's Trainer calls."""

import functools
import logging
import math
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf
import tensorflow_transform as tft
from tfx import v1 as tfx

from components.train import devices, initial_weights, order
from components.train.average import MovingAverage
from components.train.callbacks import (
    Progress,
    RecordHistory,
    StopOnNonFiniteLoss,
    write_curves,
    write_history,
)
from components.train.checkpoint import Checkpoints, SaveCheckpoints
from components.train.curves import draw_curves
from components.train.export import export
from components.train.fused_batch_norm import FusedBatchNormalization
from components.train.golden import GOLDEN_IMAGES, golden_answers, write_golden
from components.train.input import Input
from components.train.optimizer import optimizer
from components.train.recipe import augmentation, class_weights, warn_of_what_has_no_effect
from components.train.reuse import write_model
from components.train.warmup import write_warmup
from components.transform import transformed
from components.transform.class_table import ClassTable, read_class_table
from models import fishnet

logger = logging.getLogger(__name__)


def run_fn(fn_args: tfx.components.FnArgs) -> None:
    """Trains the network that `fn_args.custom_config` describes and exports it.

    The exported model has warm-up requests with it; golden answers are written to `model_run_dir`.

    Args:
      fn_args: TFX's. `custom_config` has `trainer`, `augment` and `model` (sections of the
        pipeline's config), `weights` (as `initial_weights.read` has it), `class_names`,
        `materialized`, `record_bytes` (mean size of a training record), `validation_examples`
        (their number), and `checkpoints`, a folder that outlives this execution; if it is empty,
        an interrupted training begins anew.
    """
    config = fn_args.custom_config
    hparams = config["trainer"]
    transform_output = tft.TFTransformOutput(fn_args.transform_output)
    classes = read_class_table(transform_output, config["class_names"])
    batch_size = min(hparams["batch_size"], classes.examples)
    steps = classes.examples // batch_size
    keras.utils.set_random_seed(hparams["seed"])

    initial = initial_weights.read(config["weights"], fn_args.base_model)
    initial_weights.require_trained_backbone(hparams, initial)

    strategy = devices.strategy()
    precision = devices.precision(hparams["precision"])
    # Its weights, in their order, are those of Keras's own layer, which is what is exported.
    batch_norm = functools.partial(
        FusedBatchNormalization, synchronized=hparams["synchronized_batch_norm"]
    )
    with strategy.scope():
        model = build_model(
            config["model"], transform_output, classes, precision.dtype_policy, batch_norm
        )
        if initial:
            initial.check(model, config["model"])
            initial.assign(model, classes.names)
        if hparams["freeze_backbone"]:
            initial_weights.freeze_backbone(model)
        compile_model(model, hparams, steps)
    logger.info(
        f"{config['model']['name']}: {model.count_params():,} parameters, "
        f"{classes.examples:,} examples of {len(classes.names)} classes, "
        f"{steps} steps of {batch_size} an epoch, {precision}, "
        f"devices: {strategy.num_replicas_in_sync}"
    )

    warn_of_what_has_no_effect(hparams, config["augment"], classes.examples)

    average = None
    if hparams["average"]:
        with strategy.scope():
            average = MovingAverage(model, hparams["average"])
    variables = [*model.variables, *model.optimizer.variables]
    if average:
        variables += average.variables
    checkpoints = _checkpoints(fn_args, initial.sha256 if initial else "")
    history = checkpoints.restore(variables) if checkpoints else []

    inputs = Input(transform_output, len(classes.names), config["materialized"])
    pixels_bytes = 4 * math.prod(model.input_shape[1:])
    record_bytes = pixels_bytes if config["materialized"] else config["record_bytes"]
    training_examples = order.shuffled(
        fn_args.train_files,
        steps * batch_size,
        hparams["seed"],
        min(classes.examples, order.buffer_size(hparams["shuffle_mb"], record_bytes)),
        range(len(history), hparams["epochs"]),
    )
    validation_examples = order.read(fn_args.eval_files).apply(
        tf.data.experimental.assert_cardinality(config["validation_examples"])
    )
    if history:
        write_curves(fn_args.model_run_dir, history, steps)
        write_history(fn_args.model_run_dir, history)
    model.fit(
        inputs.training(
            training_examples,
            batch_size,
            augmentation(hparams, config["augment"], steps),
            first_step=len(history) * steps,
            class_weights=class_weights(classes.counts, hparams["class_balance"]),
        ),
        steps_per_epoch=steps,
        validation_data=inputs.validation(validation_examples, batch_size),
        epochs=hparams["epochs"],
        initial_epoch=len(history),
        verbose=0,
        callbacks=[
            Progress(batch_size),
            StopOnNonFiniteLoss(),
            keras.callbacks.TensorBoard(fn_args.model_run_dir, write_graph=False),
            RecordHistory(history),
            keras.callbacks.LambdaCallback(
                on_epoch_end=lambda *_: write_history(fn_args.model_run_dir, history)
            ),
            *([average] if average else []),
            *([SaveCheckpoints(checkpoints, variables, history)] if checkpoints else []),
        ],
    )

    draw_curves(fn_args.model_run_dir, history)
    if average:
        average.take()
    images = inputs.images(validation_examples, GOLDEN_IMAGES)
    _export(fn_args, model, transform_output, classes, images)
    if checkpoints:
        checkpoints.delete()


def build_model(
    model_config: dict[str, str],
    transform_output: tft.TFTransformOutput,
    classes: ClassTable,
    dtype: str,
    batch_norm: Callable[..., keras.Layer] = keras.layers.BatchNormalization,
) -> keras.Model:
    """The network for images of the size that Transform gives and for the classes of the data."""
    shape = transform_output.transformed_feature_spec()[transformed.PIXELS].shape
    return fishnet.build(
        model_config["name"],
        len(classes.names),
        shape,
        stem=model_config["stem"],
        dtype=dtype,
        batch_norm=batch_norm,
    )


def compile_model(model: keras.Model, hparams: dict[str, Any], steps: int) -> None:
    """Gives `model` its loss, optimizer and metrics.

    Args:
      model: The network.
      hparams: The config's `trainer` section.
      steps: Steps an epoch.
    """
    chosen = optimizer(hparams, steps, fishnet.classifier(model).variables)
    # A step that creates the optimizer's variables would be traced twice.
    chosen.build(model.trainable_variables)
    model.compile(
        optimizer=chosen,
        loss=keras.losses.CategoricalCrossentropy(
            from_logits=True, label_smoothing=hparams["label_smoothing"]
        ),
        metrics=[keras.metrics.CategoricalAccuracy("top1")],
        # On a CPU XLA makes steps and start slower; on a GPU it was not measured.
        jit_compile=False,
    )


def _checkpoints(fn_args: tfx.components.FnArgs, initial: str) -> Checkpoints | None:
    """Where the config has a folder for them; those that nobody came back to are deleted there."""
    folder = fn_args.custom_config["checkpoints"]
    if not folder:
        return None
    identity = [fn_args.custom_config, fn_args.train_files, fn_args.transform_output, initial]
    checkpoints = Checkpoints(folder, identity)
    checkpoints.delete_abandoned()
    return checkpoints


def _export(
    fn_args: tfx.components.FnArgs,
    model: keras.Model,
    transform_output: tft.TFTransformOutput,
    classes: ClassTable,
    images: list[bytes],
) -> None:
    """Writes what is served, and what it must answer to `images`."""
    # What is served computes in float32 on whatever device the server has.
    config = fn_args.custom_config["model"]
    served = build_model(config, transform_output, classes, devices.FLOAT32)
    served.set_weights(model.get_weights())
    export(served, transform_output, classes.names, fn_args.serving_model_dir)
    write_warmup(fn_args.serving_model_dir, images, *served.input_shape[1:3])
    golden = golden_answers(served, transform_output, classes.names, images)
    write_golden(fn_args.model_run_dir, golden)
    write_model(served, config, transform_output, classes.names, fn_args.serving_model_dir)
