"""stdin, stdout and stderr as commands need them, whatever they were started with."""

import io
import logging
import os
import sys
from typing import NoReturn


def prepare_streams() -> None:
    """Makes up for closed streams, and has characters that cannot be printed replaced.

    A closed one reads and writes nothing: otherwise the next file that is opened would take its
    number, and with it whatever a library prints.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    for name, descriptor in (("stdout", 1), ("stderr", 2)):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(descriptor, "w", closefd=False))
        stream = getattr(sys, name)
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def end_process(exit_code: int) -> NoReturn:
    """Ends the process once all is written.

    The interpreter's own way takes seconds to take TensorFlow and TFX apart, object by object.
    """
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:  # nobody reads it any more
            exit_code = exit_code or 1
    os._exit(exit_code)
