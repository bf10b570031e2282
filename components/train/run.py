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
from components.train.checkpoint import Checkpoints, History, SaveCheckpoints
from components.train.curves import draw_curves
from components.train.export import export
from components.train.fused_batch_norm import FusedBatchNormalization
from components.train.golden import GOLDEN_IMAGES, golden_answers, write_golden
from components.train.hyperparameters import tuned
from components.train.input import Input
from components.train.optimizer import optimizer
from components.train.recipe import augmentation, class_weights, warn_of_what_has_no_effect
from components.train.reuse import write_model
from components.train.warmup import write_warmup
from components.transform import transformed
from components.transform.class_table import ClassTable, read_class_table
from models import fishnet
from models.configs import scaled

logger = logging.getLogger(__name__)


def run_fn(fn_args: tfx.components.FnArgs) -> None:
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
    draw_curves(fn_args.model_run_dir, history)
    _export(fn_args, training)
    if checkpoints:
        checkpoints.delete()


class Training:
    """A network and what it is trained on: the Trainer's, or that of one of the Tuner's trials.

    Args:
      fn_args: As `run_fn`'s.

    Attributes:
      transform_output: Transform's output.
      classes: The classes of the data.
      steps: Steps an epoch.
      initial: What its weights are at first; None if they are random.
      model: Compiled.
      variables: All that training changes.
    """

    def __init__(self, fn_args: tfx.components.FnArgs) -> None:
        self._fn_args = fn_args
        config = fn_args.custom_config
        self._hparams = config["trainer"]
        self.transform_output = tft.TFTransformOutput(fn_args.transform_output)
        self.classes = read_class_table(self.transform_output, config["class_names"])
        self._batch_size = min(self._hparams["batch_size"], self.classes.examples)
        self.steps = self.classes.examples // self._batch_size
        self._inputs = Input(self.transform_output, len(self.classes.names), config["materialized"])
        keras.utils.set_random_seed(self._hparams["seed"])

        self.initial = initial_weights.read(config["weights"], fn_args.base_model)
        initial_weights.require_trained_backbone(self._hparams, self.initial)

        strategy = devices.strategy()
        precision = devices.precision(self._hparams["precision"])
        # Its weights, in their order, are those of Keras's own layer, which is what is exported.
        batch_norm = functools.partial(
            FusedBatchNormalization, synchronized=self._hparams["synchronized_batch_norm"]
        )
        with strategy.scope():
            self.model = build_model(
                config["model"],
                self.transform_output,
                self.classes,
                precision.dtype_policy,
                batch_norm,
            )
            if self.initial:
                self.initial.check(self.model, config["model"])
                self.initial.assign(self.model, self.classes.names)
            if self._hparams["freeze_backbone"]:
                initial_weights.freeze_backbone(self.model)
            compile_model(self.model, self._hparams, self.steps)
            self._average = None
            if self._hparams["average"]:
                self._average = MovingAverage(self.model, self._hparams["average"])
        self.variables = [*self.model.variables, *self.model.optimizer.variables]
        if self._average:
            self.variables += self._average.variables
        logger.info(
            f"{config['model']['name']}: {self.model.count_params():,} parameters, "
            f"{self.classes.examples:,} examples of {len(self.classes.names)} classes, "
            f"{self.steps} steps of {self._batch_size} an epoch, {precision}, "
            f"devices: {strategy.num_replicas_in_sync}"
        )
        warn_of_what_has_no_effect(self._hparams, config["augment"], self.classes.examples)

    def fit(self, history: History, *callbacks: keras.callbacks.Callback) -> None:
        """Trains for the epochs that are not finished, and adds each to `history`.

        The model has the averaged weights then, where the config wants them.

        Args:
          history: The epochs that are finished.
          callbacks: Called after an epoch has been added.
        """
        hparams = self._hparams
        self.model.fit(
            self._inputs.training(
                self._training_examples(range(len(history), hparams["epochs"])),
                self._batch_size,
                augmentation(hparams, self._fn_args.custom_config["augment"], self.steps),
                first_step=len(history) * self.steps,
                class_weights=class_weights(self.classes.counts, hparams["class_balance"]),
            ),
            steps_per_epoch=self.steps,
            validation_data=self._inputs.validation(self._validation_examples(), self._batch_size),
            epochs=hparams["epochs"],
            initial_epoch=len(history),
            verbose=0,
            callbacks=[
                Progress(self._batch_size),
                StopOnNonFiniteLoss(),
                RecordHistory(history),
                *([self._average] if self._average else []),
                *callbacks,
            ],
        )
        if self._average:
            self._average.take()

    def validation_images(self, count: int) -> list[bytes]:
        """The first images of the validation split as files, fewer where there are no more."""
        return self._inputs.images(self._validation_examples(), count)

    def _training_examples(self, epochs: range) -> tf.data.Dataset:
        config = self._fn_args.custom_config
        pixels_bytes = 4 * math.prod(self.model.input_shape[1:])
        record_bytes = pixels_bytes if config["materialized"] else config["record_bytes"]
        return order.shuffled(
            self._fn_args.train_files,
            self.steps * self._batch_size,
            self._hparams["seed"],
            min(
                self.classes.examples,
                order.buffer_size(self._hparams["shuffle_mb"], record_bytes),
            ),
            epochs,
        )

    def _validation_examples(self) -> tf.data.Dataset:
        number = self._fn_args.custom_config["validation_examples"]
        return order.read(self._fn_args.eval_files).apply(
            tf.data.experimental.assert_cardinality(number)
        )


def build_model(
    model_config: dict[str, Any],
    transform_output: tft.TFTransformOutput,
    classes: ClassTable,
    dtype: str,
    batch_norm: Callable[..., keras.Layer] = keras.layers.BatchNormalization,
) -> keras.Model:
    """The network for images of the size that Transform gives and for the classes of the data."""
    shape = transform_output.transformed_feature_spec()[transformed.PIXELS].shape
    name = model_config["name"]
    return fishnet.build(
        scaled(name, model_config["width"], model_config["depth"]),
        len(classes.names),
        shape,
        stem=model_config["stem"],
        dtype=dtype,
        name=name,
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


def find_checkpoints(fn_args: tfx.components.FnArgs, initial: str) -> Checkpoints | None:
    """Where the config has a folder for them; those that nobody came back to are deleted there."""
    folder = fn_args.custom_config["checkpoints"]
    if not folder:
        return None
    identity = [fn_args.custom_config, fn_args.train_files, fn_args.transform_output, initial]
    checkpoints = Checkpoints(folder, identity)
    checkpoints.delete_abandoned()
    return checkpoints


def _export(fn_args: tfx.components.FnArgs, training: Training) -> None:
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
