"""One process at a time changes an output folder."""

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

import filelock

from components.report.verdict import Verdict
from pipeline.command_line import usage_error


@contextlib.contextmanager
def lock(output: Path) -> Iterator[None]:
    """Makes the folder `output` and keeps other runs out of it; ends the process if it cannot."""
    try:
        output.mkdir(parents=True, exist_ok=True)
        held = filelock.FileLock(output / ".lock", timeout=0).acquire()
    except filelock.Timeout:
        sys.stderr.write(
            f"error: {output} is in use by another run; wait for it, or give another --output\n"
        )
        sys.exit(Verdict.FAILED.exit_code)
    except OSError as error:
        usage_error(f"--output {output}: cannot be written ({error.strerror}); give another folder")
    with held:
        yield
