"""A process ends: with an error, or without the seconds that Python takes for TensorFlow."""

import atexit
import contextlib
import io
import logging
import os
import sys
from collections.abc import Iterator
from typing import NoReturn


def fail(message: str, exit_code: int) -> NoReturn:
    """Ends the process with an error that people can read."""
    sys.stderr.write(f"error: {message}\n")
    sys.exit(exit_code)


@contextlib.contextmanager
def refusals_raised(error_type: type[ValueError], what: str) -> Iterator[None]:
    """Raises what a library's argument parser refuses, where it would end the process instead.

    Args:
        error_type: The error's.
        what: Is refused; the message begins with it, and the parser's usage is left out.
    """
    try:
        with contextlib.redirect_stderr(io.StringIO()) as told:
            yield
    except SystemExit as error:
        reason = told.getvalue().strip().rpartition("error: ")[2]
        raise error_type(f"{what}: {reason}") from error


class QuickEnd:
    """Ends the process after the libraries' exit handlers, which delete their temporary files.

    What comes after them, the interpreter takes all modules apart, object by object, is left out.
    It is made before the libraries are imported: the last handler registered is the first called.
    """

    def __init__(self) -> None:
        self._exit_code: int | None = None
        atexit.register(self._end)

    def __call__(self, exit_code: int) -> NoReturn:
        """Ends it."""
        self._exit_code = exit_code
        sys.exit(exit_code)

    def _end(self) -> None:
        if self._exit_code is None:  # a usage error, say
            return
        logging.shutdown()
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except OSError:  # nobody reads it any more
                self._exit_code = self._exit_code or 1
        os._exit(self._exit_code)
