"""Ctrl-C during a run."""

import signal
from types import TracebackType
from typing import NoReturn


class Interrupts:
    """A context in which no Ctrl-C is lost.

    Python raises KeyboardInterrupt in whatever runs at the moment. Of one inside a `__del__`, a
    weakref's callback or a library's `except:` nobody hears, and the run would go on to Pusher.
    """

    def __init__(self) -> None:
        self._any = False

    def __enter__(self) -> "Interrupts":
        self._previous = signal.getsignal(signal.SIGINT)
        if self._previous is not signal.SIG_IGN:  # as a shell has it for what runs in background
            signal.signal(signal.SIGINT, self._interrupt)
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        signal.signal(signal.SIGINT, self._previous)

    def raise_if_any(self) -> None:
        """Raises the KeyboardInterrupt of a Ctrl-C that came since the context was entered."""
        if self._any:
            raise KeyboardInterrupt

    def _interrupt(self, *_: object) -> NoReturn:
        self._any = True
        raise KeyboardInterrupt
