"""Checkpoints: an interrupted training goes on after the last epoch that was finished.

Keras's BackupAndRestore writes two files in place, each of which may be left half-written, and goes
before the export; its weights files leave out the state of random layers.
"""

import contextlib
import errno
import hashlib
import io
import json
import logging
import math
import re
import time
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tfx.dsl.io import fileio

from components.train.storage import os_errors, read_file, write_file

KEPT_DAYS = 30  # after its last epoch a training may be taken up so long

History = list[dict[str, float]]  # an epoch each: loss, metrics, learning rate, by name

_FILE = re.compile(r"epoch-\d{5}-([0-9a-f]{64})\.npz")  # SHA-256 of the content
_HALF = re.compile(r"\.epoch-(\d{5})-.*")  # what `write_file` makes, until it renames the file
_FOLDER = re.compile(r"[0-9a-f]{16}")
_BEGUN = "begun"  # a file, whose time counts while there is no epoch

logger = logging.getLogger(__name__)


class Checkpoints:
    """The last two checkpoints of a training, a file each, which is there whole or not at all.

    The newest one that can be read counts. They are in a folder that the same training, and no
    other, finds again: not in `model_run_dir`, of which each execution has its own, and of which
    TFX deletes that of a failed one.

    Args:
      root: Folder, or URI in an object store, of the checkpoints of all trainings.
      identity: What the weights after an epoch depend on, for JSON.
    """

    def __init__(self, root: str, identity: Any) -> None:
        versions = [keras.__version__, tf.__version__]
        digest = hashlib.sha256(json.dumps([identity, versions], sort_keys=True).encode())
        self._root = root.rstrip("/")
        self.folder = f"{self._root}/{digest.hexdigest()[:16]}"
        self._last = ""

    def begin(self) -> None:
        """Makes the folder and writes to it, so that its faults are known before a training.

        Raises:
          OSError: It cannot be written.
        """
        try:
            write_file(f"{self.folder}/{_BEGUN}", b"begun")
        except OSError as error:
            raise OSError(
                f"{self.folder}: checkpoints cannot be written there: {error}; make the folder "
                "writable, or give another --output, on a cluster --checkpoints"
            ) from error

    @os_errors()
    def restore(self, variables: Sequence[keras.Variable]) -> History:
        """Gives `variables` the values that the newest readable checkpoint has, and reports it.

        Args:
          variables: All that training changes: weights, moving statistics, random layers' state,
            optimizer, averages.

        Returns:
          The epochs that are finished; none if there is no readable checkpoint.

        Raises:
          OSError: The folder, or a file in it, may not be read.
        """
        names = sorted(filter(_FILE.fullmatch, _names(self.folder)), reverse=True)
        for name in names:
            try:
                values, history = _load(f"{self.folder}/{name}")
            except DamagedError as error:
                logger.warning(str(error))
                continue
            for variable, value in zip(variables, values, strict=True):
                variable.assign(value)
            self._last = name
            logger.info(f"resumes after epoch {len(history)}")
            return history
        if names:
            logger.warning(f"{self.folder}: no checkpoint is readable; the training begins anew")
        return []

    @os_errors()
    def save(self, variables: Sequence[keras.Variable], history: History) -> None:
        """Writes a checkpoint and deletes those before the last one.

        Args:
          variables: As for `restore`.
          history: The epochs that are finished.

        Raises:
          OSError: It could not be written; the last one is as it was.
        """
        buffer = io.BytesIO()
        values = [keras.ops.convert_to_numpy(variable) for variable in variables]
        np.savez(buffer, *values, history=json.dumps(history))
        content = buffer.getvalue()
        name = f"epoch-{len(history):05d}-{hashlib.sha256(content).hexdigest()}.npz"
        try:
            write_file(f"{self.folder}/{name}", content)
        except OSError as error:
            raise OSError(
                f"{self.folder}: the checkpoint of epoch {len(history)}, "
                f"{len(content) / 1e6:.0f} MB, cannot be written: {error}"
            ) from error
        for other in _names(self.folder):
            half = _HALF.fullmatch(other)
            # Of this epoch it may be another process's, at the same training.
            left = int(half[1]) < len(history) if half else _FILE.fullmatch(other)
            if left and other not in (name, self._last):
                _remove(f"{self.folder}/{other}")
        self._last = name

    @os_errors()
    def delete(self) -> None:
        """Deletes this training's checkpoints, where there are any."""
        _remove(self.folder)

    def delete_abandoned(self) -> None:
        """Deletes those of other trainings whose last epoch is `KEPT_DAYS` ago, and reports it."""
        for name in filter(_FOLDER.fullmatch, _names(self._root)):
            folder = f"{self._root}/{name}"
            if folder == self.folder:
                continue
            try:
                written = [_written(f"{folder}/{file}") for file in _names(folder)]
                if time.time() - max(written, default=math.inf) > KEPT_DAYS * 86_400:
                    fileio.rmtree(folder)
                    logger.info(f"{folder}: checkpoints of an abandoned training, deleted")
            # Another user's, or somebody else deletes them just now.
            except (OSError, tf.errors.OpError) as error:
                logger.warning(f"{folder}: an abandoned training's checkpoints stay: {error}")


class SaveCheckpoints(keras.callbacks.Callback):
    """Writes a checkpoint after each epoch.

    Args:
      checkpoints: Where.
      variables: As `Checkpoints` has them.
      history: The epochs that are finished; whoever adds to it is called before.
    """

    def __init__(
        self, checkpoints: Checkpoints, variables: Sequence[keras.Variable], history: History
    ) -> None:
        super().__init__()
        self._checkpoints = checkpoints
        self._variables = variables
        self._history = history

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Keras hook."""
        self._checkpoints.save(self._variables, self._history)


class DamagedError(ValueError):
    """A file has not the content that was written."""


def _load(path: str) -> tuple[list[np.ndarray], History]:
    """The values of the variables, and the epochs that are finished.

    Raises:
      DamagedError: The content is not that which was written, or the disk cannot read it.
    """
    try:
        content = read_file(path)
    except OSError as error:
        if error.errno != errno.EIO:
            raise
        raise DamagedError(f"{path}: the disk cannot read this checkpoint: {error}") from error
    if hashlib.sha256(content).hexdigest() not in path:
        raise DamagedError(f"{path}: this checkpoint has not the content that was written")
    with np.load(io.BytesIO(content), allow_pickle=False) as archive:
        values = [archive[f"arr_{index}"] for index in range(len(archive.files) - 1)]
        return values, json.loads(str(archive["history"]))


def _remove(path: str) -> None:
    with contextlib.suppress(fileio.NotFoundError):  # another process was there before
        if fileio.isdir(path):
            fileio.rmtree(path)
        else:
            fileio.remove(path)


def _names(folder: str) -> list[str]:
    names = fileio.listdir(folder) if fileio.exists(folder) else []
    return [name.strip("/") for name in names]


def _written(path: str) -> float:
    """When a file was written, seconds since 1970."""
    found = fileio.stat(path)
    return found.st_mtime if hasattr(found, "st_mtime") else found.mtime_nsec / 1e9
