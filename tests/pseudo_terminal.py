"""A command under a pseudo-terminal, as a user at a screen has it."""

import os
import pty
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path


def pseudo_terminal(
    command: Sequence[str], cwd: Path, environment: Mapping[str, str] | None = None
) -> str:
    """Everything that `command` shows on its terminal, control characters included."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        command, cwd=cwd, stdin=theirs, stdout=theirs, stderr=theirs, env=environment
    )
    os.close(theirs)
    shown = b""
    while True:
        try:
            part = os.read(ours, 4096)
        except OSError:  # so Linux tells that the other end is closed
            break
        if not part:
            break
        shown += part
    os.close(ours)
    process.wait()
    return shown.decode("utf-8", "replace")
