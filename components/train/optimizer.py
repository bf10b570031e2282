"""The optimizer that the config describes."""

from typing import Any

import keras

from components.train.schedule import WarmupCosine

UNDECAYED = ["gamma", "beta", "bias"]  # weights whose names contain these have no weight decay


def optimizer(hparams: dict[str, Any], steps: int) -> keras.optimizers.Optimizer:
    """SGD with Nesterov momentum, or AdamW, whose learning rate warms up and then falls to 0.

    Args:
      hparams: The config's `trainer` section.
      steps: Steps an epoch.
    """
    total_steps = hparams["epochs"] * steps
    warmup_steps = min(round(hparams["warmup_epochs"] * steps), total_steps)
    schedule = WarmupCosine(hparams["learning_rate"], warmup_steps, total_steps)
    clip = hparams["clip_norm"] or None
    decay = hparams["weight_decay"]
    if hparams["optimizer"] == "adamw":
        chosen = keras.optimizers.AdamW(schedule, weight_decay=decay, global_clipnorm=clip)
    else:
        chosen = keras.optimizers.SGD(
            schedule,
            momentum=hparams["momentum"],
            nesterov=True,
            weight_decay=sgd_weight_decay(decay, hparams["momentum"]),
            global_clipnorm=clip,
        )
    chosen.exclude_from_weight_decay(var_names=UNDECAYED)
    return chosen


def sgd_weight_decay(decay: float, momentum: float) -> float:
    """Keras's `weight_decay` that shrinks weights as `decay` does in PyTorch and in most papers.

    There decay is added to the gradient, and momentum makes 1 / (1 - momentum) times as much of it;
    Keras subtracts it from the weight, past the momentum.
    """
    return decay / (1 - momentum)
