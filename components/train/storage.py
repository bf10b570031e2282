"""Files on a disk or in an object store."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import tensorflow as tf
from tfx.dsl.io import fileio

from cli.whole_file import write_whole


@contextlib.contextmanager
def os_errors() -> Iterator[None]:
    """Makes OSErrors of TensorFlow's own errors, which TFX's files raise."""
    try:
        yield
    except tf.errors.OpError as error:
        raise OSError(error.message) from error


@os_errors()
def read_file(path: str) -> bytes:
    """The content of a file.

    Args:
      path: Of the file, or its URI.

    Raises:
      OSError: It cannot be read.
    """
    if "://" not in path:  # of a disk's errors TensorFlow, which reads for TFX, makes its own
        return Path(path).read_bytes()
    with fileio.open(path, "rb") as file:
        return file.read()


@os_errors()
def write_file(path: str, content: bytes) -> None:
    """Writes a file at one go, and makes its folder: a store has an object once it is all there.

    Args:
      path: Of the file, or its URI.
      content: All of it.

    Raises:
      OSError: It cannot be written; what was there is as it was.
    """
    fileio.makedirs(path.rpartition("/")[0])
    if "://" not in path:
        write_whole(Path(path), content)
        return
    with fileio.open(path, "wb") as file:
        file.write(content)
