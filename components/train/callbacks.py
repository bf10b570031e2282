"""What watches a training: progress and curves for people, a stop when it has gone astray."""

import csv
import json
import logging
import math
import time
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from cli.duration import format_duration

logger = logging.getLogger(__name__)

HISTORY_FILE = "history.jsonl"  # a line of JSON for each epoch
SPEED = "images_per_second"  # an epoch's training steps, by the clock


class Progress(keras.callbacks.Callback):
    """Logs step, loss, images/s and the time left: each epoch, and every `interval` seconds.

    An epoch's images/s are added to its metrics, for the callbacks that come after this one.

    Args:
      batch_size: Examples a step.
      interval: Seconds between two lines within an epoch.
    """

    def __init__(self, batch_size: int, interval: float = 10.0) -> None:
        super().__init__()
        self._batch_size = batch_size
        self._interval = interval
        self._epoch = 0
        self._timed_steps = 0
        self._timed_from = 0.0
        self._last_step_at = 0.0
        self._logged_at = time.monotonic()

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Keras hook."""
        self._epoch = epoch
        self._timed_from = 0.0

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Keras hook."""
        self._last_step_at = time.monotonic()
        if self._timed_from:
            self._timed_steps += 1
        else:  # an epoch's first step fills the input's buffers, the very first traces the graph
            self._timed_from, self._timed_steps = self._last_step_at, 0
        if self._last_step_at - self._logged_at >= self._interval:
            self._log(batch, logs or {})

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Keras hook."""
        logs = {} if logs is None else logs
        self._log(self.params["steps"] - 1, logs)
        if self._timed_steps:
            logs[SPEED] = self._batch_size / self._seconds_per_step()

    def _seconds_per_step(self) -> float:
        return (self._last_step_at - self._timed_from) / self._timed_steps

    def _log(self, batch: int, logs: dict[str, Any]) -> None:
        self._logged_at = time.monotonic()
        steps, epochs = self.params["steps"], self.params["epochs"]
        measured = " ".join(f"{name} {value:.4f}" for name, value in logs.items())
        line = f"epoch {self._epoch + 1}/{epochs} step {batch + 1}/{steps} {measured}"
        if self._timed_steps:
            seconds_per_step = self._seconds_per_step()
            steps_left = (epochs - self._epoch) * steps - (batch + 1)
            line += (
                f" {self._batch_size / seconds_per_step:.0f} images/s"
                f" {format_duration(steps_left * seconds_per_step)} left"
            )
        logger.info(line)


class StopOnNonFiniteLoss(keras.callbacks.Callback):
    """Ends a training whose loss has become infinite or not a number."""

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Keras hook.

        Raises:
          FloatingPointError: The loss is not finite.
        """
        loss = (logs or {}).get("loss", 0.0)
        if not math.isfinite(loss):
            step = int(self.model.optimizer.iterations.numpy())
            raise FloatingPointError(
                f"the loss became {loss} within the {batch + 1} steps up to step {step}; a lower "
                "`trainer.learning_rate` or a longer `trainer.warmup_epochs` usually helps"
            )


class RecordHistory(keras.callbacks.Callback):
    """Adds each epoch's metrics and learning rate to the history, before others look at it.

    Args:
      history: The epochs that are finished; it grows.
    """

    def __init__(self, history: list[dict[str, float]]) -> None:
        super().__init__()
        self._history = history

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Keras hook."""
        learning_rate = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
        self._history.append({**(logs or {}), "learning_rate": learning_rate})


def write_history(folder: str, history: Sequence[dict[str, float]]) -> None:
    """Writes `history.csv` and `history.jsonl`, a line for each epoch, counted from 1.

    Args:
      folder: Where; it is made if need be.
      history: The epochs from the first one on: metrics and learning rate by name.
    """
    rows = [{"epoch": number, **row} for number, row in enumerate(history, 1)]
    tf.io.gfile.makedirs(folder)
    with tf.io.gfile.GFile(f"{folder}/history.csv", "w") as file:
        # Of an epoch of one step there is no speed.
        writer = csv.DictWriter(file, max(rows, key=len), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    with tf.io.gfile.GFile(f"{folder}/{HISTORY_FILE}", "w") as file:
        file.write("".join(f"{json.dumps(row)}\n" for row in rows))


def write_curves(folder: str, history: Sequence[dict[str, float]], steps: int) -> None:
    """Writes what Keras's TensorBoard wrote of epochs that another execution trained.

    Args:
      folder: Its `log_dir`.
      history: The epochs from the first one on: metrics by name, `val_…` those of the validation.
      steps: Steps an epoch.
    """
    for prefix, split in (("", "train"), ("val_", "validation")):
        with tf.summary.create_file_writer(f"{folder}/{split}").as_default():
            for epoch, metrics in enumerate(history):
                for name, value in metrics.items():
                    if name.startswith("val_") is not bool(prefix):
                        continue
                    plain = name.removeprefix(prefix)
                    tf.summary.scalar(f"epoch_{plain}", value, step=epoch)
                    if prefix:
                        tag = f"evaluation_{plain}_vs_iterations"
                        tf.summary.scalar(tag, value, step=(epoch + 1) * steps)
