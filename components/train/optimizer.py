"""The optimizer that the config describes."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from components.train.schedule import Warmup

UNDECAYED = ("gamma", "beta", "bias")  # names of weights that have no weight decay


class _ByWeight(keras.optimizers.Optimizer):
    """Gives each weight a learning rate of its own, and its weight decay with that.

    Keras's own weight decay is by one learning rate for all; so the step does it here. Of several
    replicas Keras clips each one's gradients, before it sums them; here the sum is clipped.

    Args:
      *args: The optimizer's.
      clip_norm: Greatest norm of the gradients of all weights and replicas; 0: none is too great.
      decay: As Keras counts it.
      backbone_rate: Share of the learning rate for all weights but the classifier's.
      classifier: Its weights.
      **kwargs: The optimizer's.
    """

    def __init__(
        self,
        *args: Any,
        clip_norm: float,
        decay: float,
        backbone_rate: float,
        classifier: Sequence[keras.Variable],
        **kwargs: Any,
    ) -> None:
        replicas = tf.distribute.get_strategy().num_replicas_in_sync
        super().__init__(*args, global_clipnorm=clip_norm / replicas or None, **kwargs)
        self._replicas = replicas
        self._decay = decay
        self._backbone_rate = backbone_rate
        self._classifier = {id(variable) for variable in classifier}

    def build(self, variables: Sequence[keras.Variable]) -> None:
        """Keras hook."""
        super().build(variables)
        self._rates = tuple(
            1.0 if id(variable) in self._classifier else self._backbone_rate
            for variable in variables
        )
        self._decays = tuple(
            0.0 if variable.name in UNDECAYED else self._decay for variable in variables
        )

    def apply(
        self,
        grads: Sequence[keras.KerasTensor],
        trainable_variables: Sequence[keras.Variable] | None = None,
    ) -> None:
        """Keras hook."""
        if self.global_clipnorm and self._replicas > 1:
            # Each replica clips an equal share of the sum alike, and Keras sums the shares.
            context = tf.distribute.get_replica_context()
            grads = context.all_reduce(tf.distribute.ReduceOp.MEAN, list(grads))
        super().apply(grads, trainable_variables)

    def update_step(
        self, gradient: keras.KerasTensor, variable: keras.Variable, learning_rate: Any
    ) -> None:
        """Keras hook."""
        index = self._get_variable_index(variable)
        rate = keras.ops.cast(learning_rate, variable.dtype) * self._rates[index]
        if self._decays[index]:
            self.assign_sub(variable, variable * (rate * self._decays[index]))
        super().update_step(gradient, variable, rate)


class _SGD(_ByWeight, keras.optimizers.SGD):
    pass


class _AdamW(_ByWeight, keras.optimizers.Adam):
    pass


def optimizer(
    hparams: dict[str, Any], steps: int, classifier: Sequence[keras.Variable] = ()
) -> keras.optimizers.Optimizer:
    """SGD with Nesterov momentum, or AdamW; the learning rate warms up, then falls to 0 or stays.

    Args:
      hparams: The config's `trainer` section.
      steps: Steps an epoch.
      classifier: The weights to which `backbone_rate` does not apply.
    """
    total_steps = hparams["epochs"] * steps
    warmup_steps = min(round(hparams["warmup_epochs"] * steps), total_steps)
    schedule = Warmup(hparams["learning_rate"], warmup_steps, total_steps, then=hparams["schedule"])
    shared = {
        "name": hparams["optimizer"],  # by default the class's, and TensorFlow wants no _ in front
        "clip_norm": hparams["clip_norm"],
        "backbone_rate": hparams["backbone_rate"],
        "classifier": classifier,
    }
    decay, momentum = hparams["weight_decay"], hparams["momentum"]
    if hparams["optimizer"] == "adamw":
        return _AdamW(schedule, decay=decay, **shared)
    decay = sgd_weight_decay(decay, momentum)
    return _SGD(schedule, decay=decay, momentum=momentum, nesterov=True, **shared)


def sgd_weight_decay(decay: float, momentum: float) -> float:
    """Keras's `weight_decay` that shrinks weights as `decay` does in PyTorch and in most papers.

    There decay is added to the gradient, and momentum makes 1 / (1 - momentum) times as much of it;
    Keras subtracts it from the weight, past the momentum.
    """
    return decay / (1 - momentum)
