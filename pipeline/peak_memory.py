"""The most memory that this process holds for a while."""

import contextlib
from pathlib import Path

_STATUS = Path("/proc/self/status")
_RESET = Path("/proc/self/clear_refs"), "5"  # proc(5): of the peak resident set


class PeakMemory:
    """Measures from the time that it is made. Child processes do not count."""

    def __init__(self) -> None:
        file, command = _RESET
        with contextlib.suppress(OSError):  # where it may not be: since the process began
            file.write_text(command)

    def megabytes(self) -> float | None:
        """10⁶ bytes; None where the system does not say."""
        try:
            lines = _STATUS.read_text().splitlines()
        except OSError:
            return None
        found = [int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith("VmHWM:")]
        return found[0] if found else None
