"""What the numbers may be that a run sets in place of the config's, on a server's page say."""

import math


def check_run_parameters(epochs: int, learning_rate: float) -> None:
    """Raises a ValueError that tells the rule which one of them breaks.

    Args:
      epochs: For `trainer.epochs`.
      learning_rate: For `trainer.learning_rate`.
    """
    for field, value in (("epochs", epochs), ("learning_rate", learning_rate)):
        if not 0 < value < math.inf:
            raise ValueError(f"`trainer.{field}` must be positive. Received: {value!r}")
