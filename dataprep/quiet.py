"""Keeps what Beam and its workers say off the screen."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def quiet() -> Iterator[Path]:
    """Sends all that this process and its children write to stdout and stderr to a log file.

    Yields:
        The log file. It is kept when there is an error.
    """
    descriptor, name = tempfile.mkstemp(prefix="dataprep-", suffix=".log")
    log = Path(name)
    saved = os.dup(1), os.dup(2)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)
    try:
        yield log
    except KeyboardInterrupt:
        log.unlink()
        raise
    else:
        log.unlink()
    finally:
        for stream, original in enumerate(saved, start=1):
            os.dup2(original, stream)
            os.close(original)
