"""stdin, stdout, stderr and the encoding as commands need them, whatever they were started with."""

import io
import os
import sys


def prepare_streams() -> None:
    """Makes up for closed streams, and has characters that cannot be printed replaced.

    A closed one reads and writes nothing: otherwise the next file that is opened would take its
    number, and with it whatever a library prints.

    In a locale of another encoding than UTF-8, Python is started anew in its UTF-8 mode: there a
    file's name is no text that TensorFlow, or a file of ours, could take.
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
    if sys.getfilesystemencoding() != "utf-8":
        # The terminal's encoding stays what it is.
        environment = {**os.environ, "PYTHONIOENCODING": f"{sys.stdout.encoding}:replace"}
        command = [sys.executable, "-X", "utf8", *sys.orig_argv[1:]]
        os.execve(sys.executable, command, environment)


def tell(text: str) -> None:
    """Writes lines to stdout, whether or not anybody reads them."""
    try:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read it has seen enough; what was to be done is done
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
