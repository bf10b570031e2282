"""stdin, stdout and stderr as commands need them, whatever they were started with."""

import io
import os
import sys


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
