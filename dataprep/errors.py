"""What the commands report to a user, without a traceback."""


class UsageError(ValueError):
    """What was asked cannot be done; the message says why, and what to ask instead. Exit code 2."""


class PreparationError(RuntimeError):
    """It was asked rightly and failed; the message says why, and what to do. Exit code 1."""
