"""What the config's sections mean in a training of so many examples and steps."""

import logging
from collections.abc import Sequence
from typing import Any

from components.train.augmentation import Augmentation

logger = logging.getLogger(__name__)


def augmentation(hparams: dict[str, Any], augment: dict[str, Any], steps: int) -> Augmentation:
    """What the config's `augment` section means in a training of `steps` steps an epoch."""
    mixed_epochs = max(hparams["epochs"] - augment["unmixed_epochs"], 0)
    fields = {name: value for name, value in augment.items() if name != "unmixed_epochs"}
    return Augmentation(**fields, seed=hparams["seed"], mixed_steps=mixed_epochs * steps)


def class_weights(counts: Sequence[int], balance: float) -> list[float] | None:
    """Weights of the classes' examples in the loss: 1 in the mean over all examples.

    Args:
      counts: Number of training examples of each class.
      balance: 0: all weigh the same, there are no weights; 1: a class of many weighs as one of few.
    """
    if not balance:
        return None
    weights = [count**-balance if count else 0.0 for count in counts]
    total = sum(count * weight for count, weight in zip(counts, weights, strict=True))
    return [weight * sum(counts) / total for weight in weights]


def warn_of_what_has_no_effect(
    hparams: dict[str, Any], augment: dict[str, Any], examples: int
) -> None:
    """Reports numbers of the config that this training has no room for."""
    epochs = hparams["epochs"]
    if hparams["warmup_epochs"] >= epochs:
        logger.warning(
            f"trainer.warmup_epochs, {hparams['warmup_epochs']:g}, leaves none of the {epochs} "
            "epochs to trainer.schedule: the learning rate rises to the end"
        )
    if hparams["batch_size"] > examples:
        logger.warning(
            f"trainer.batch_size, {hparams['batch_size']}, is more than there are training "
            f"examples, {examples}: an epoch is one step of {examples}"
        )
    if (augment["mixup"] or augment["cutmix"]) and augment["unmixed_epochs"] >= epochs:
        logger.warning(
            f"augment.unmixed_epochs, {augment['unmixed_epochs']}, leaves none of the {epochs} "
            "epochs to augment.mixup and augment.cutmix"
        )
