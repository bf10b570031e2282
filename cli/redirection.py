"""Sends what this process, its libraries in C++ and its children print to a file."""

import contextlib
import os
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def output_to(descriptor: int) -> Iterator[None]:
    """Has stdout and stderr, the descriptors 1 and 2, write to another file meanwhile.

    Args:
        descriptor: Of the file, open for writing.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    saved = os.dup(1), os.dup(2)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for stream, original in enumerate(saved, start=1):
            os.dup2(original, stream)
            os.close(original)
