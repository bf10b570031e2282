"""The learning rate over the steps of a training."""

import math
from typing import Any

import keras


@keras.saving.register_keras_serializable(package="fishnet")
class Warmup(keras.optimizers.schedules.LearningRateSchedule):
    """Linear warm-up from 0 to the peak; then a fall to 0, or the peak to the end.

    The fall is half a cosine (Loshchilov and Hutter, 2017).

    Args:
      peak: Learning rate at the end of the warm-up.
      warmup_steps: Steps of the warm-up; may be 0.
      total_steps: Steps of the whole training, at least `warmup_steps`.
      then: "cosine" or "constant".
    """

    def __init__(
        self, peak: float, warmup_steps: int, total_steps: int, then: str = "cosine"
    ) -> None:
        if not 0 <= warmup_steps <= total_steps:
            raise ValueError(
                f"`warmup_steps` must be in 0..{total_steps} (`total_steps`). "
                f"Received: {warmup_steps}"
            )
        super().__init__()
        self.peak = peak
        self.warmup_steps = warmup_steps
        self.total_steps = total_steps
        self.then = then

    def __call__(self, step: keras.KerasTensor) -> keras.KerasTensor:
        """The learning rate of `step`, counted from 0."""
        step = keras.ops.cast(step, "float32")
        warmup = (step + 1.0) / max(self.warmup_steps, 1)
        if self.then == "constant":
            return self.peak * keras.ops.minimum(warmup, 1.0)
        progress = (step - self.warmup_steps) / max(self.total_steps - self.warmup_steps, 1)
        cosine = 0.5 * (1.0 + keras.ops.cos(math.pi * keras.ops.clip(progress, 0.0, 1.0)))
        return self.peak * keras.ops.where(step < self.warmup_steps, warmup, cosine)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            "peak": self.peak,
            "warmup_steps": self.warmup_steps,
            "total_steps": self.total_steps,
            "then": self.then,
        }
