"""A training: the network, its optimizer and its input, as the config has them."""

import functools
import logging
import math
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf
import tensorflow_transform as tft
from tfx.components.trainer.fn_args_utils import FnArgs

from components.train import devices, initial_weights, order
from components.train.average import MovingAverage
from components.train.callbacks import Progress, RecordHistory, StopOnNonFiniteLoss
from components.train.checkpoint import History
from components.train.fused_batch_norm import FusedBatchNormalization
from components.train.input import Input
from components.train.optimizer import optimizer
from components.train.recipe import augmentation, class_weights, warn_of_what_has_no_effect
from components.transform import transformed
from components.transform.class_table import ClassTable, read_class_table
from models import fishnet
from models.configs import scaled

logger = logging.getLogger(__name__)


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

    def __init__(self, fn_args: FnArgs) -> None:
        self._fn_args = fn_args
        config = fn_args.custom_config
        self._hparams = config["trainer"]
        self.transform_output = tft.TFTransformOutput(fn_args.transform_output)
        self.classes = read_class_table(self.transform_output, config["class_names"])
        self._batch_size = min(self._hparams["batch_size"], self.classes.examples)
        self.steps = self.classes.examples // self._batch_size
        self._inputs = Input(self.transform_output, len(self.classes.names), config["materialized"])

        self.initial = initial_weights.read(config["weights"], fn_args.base_model)
        initial_weights.require_trained_backbone(self._hparams, self.initial)

        # Not before: Keras draws random weights for a network that it reads, too.
        keras.utils.set_random_seed(self._hparams["seed"])
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
