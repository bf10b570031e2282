"""The trained network as it is served: batch normalisation folded, small weights made constants."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers

# Bytes. Constants load faster than variables, but each signature's graph has copies of its own;
# with fishnet99 they take 1 GB more than variables, which all signatures share.
LARGEST_CONSTANT = 1 << 16


def freeze(network: keras.Model) -> tuple[Callable[[tf.Tensor], tf.Tensor], list[tf.Variable]]:
    """Takes a network's weights out of Keras.

    Args:
      network: pixels [batch, height, width, 3] → logits [batch, classes].

    Returns:
      The same as a function, and its large weights; the others are constants in its graph.
    """
    trainable = [_freeze_weight(weight) for weight in network.trainable_variables]
    others = [_freeze_weight(weight) for weight in network.non_trainable_variables]

    def logits(pixels: tf.Tensor) -> tf.Tensor:
        return network.stateless_call(trainable, others, pixels, training=False)[0]

    return logits, [w for w in (*trainable, *others) if isinstance(w, tf.Variable)]


def _freeze_weight(weight: keras.Variable) -> tf.Variable | np.ndarray:
    value = weight.numpy()
    return value if value.nbytes <= LARGEST_CONSTANT else tf.Variable(value, trainable=False)


def fold_batch_normalization(model: keras.Model) -> keras.Model:
    """Copies a network without its batch normalisations, which in inference only scale and shift.

    What directly follows a convolution that feeds nothing else goes into that one's kernel and
    bias. The others become one multiplication and one addition.

    Args:
      model: A functional model in float32, channels last, with scale and centre in its batch
        normalisations.
    """
    following = _normalization_after_convolution(model)
    scales_and_offsets = {
        layer.name: _scale_and_offset(layer)
        for layer in model.layers
        if isinstance(layer, layers.BatchNormalization)
    }

    def clone(operation: keras.Operation) -> keras.Operation:
        config = operation.get_config()
        if operation.name in following:
            config["use_bias"] = True
        return type(operation).from_config(config)

    def call(
        operation: keras.Operation, x: keras.KerasTensor, *args: Any, **kwargs: Any
    ) -> keras.KerasTensor:
        if operation.name in following.values():
            return x
        if operation.name in scales_and_offsets:
            scale, offset = scales_and_offsets[operation.name]
            return x * scale.astype(np.float32) + offset.astype(np.float32)
        return operation(x, *args, **kwargs)

    folded = keras.models.clone_model(model, clone_function=clone, call_function=call)
    for layer in folded.layers:
        weights = model.get_layer(layer.name).get_weights() if layer.weights else []
        if layer.name in following:
            weights = _fold(weights, *scales_and_offsets[following[layer.name]])
        layer.set_weights(weights)
    return folded


def _normalization_after_convolution(model: keras.Model) -> dict[str, str]:
    """Convolutions that feed one batch normalisation and nothing else, and which: names."""
    producers = {id(operation.output): operation for operation in model.operations}
    uses = Counter(id(output) for output in model.outputs)
    for operation in model.operations:
        if not isinstance(operation, layers.InputLayer):
            uses.update(id(tensor) for tensor in keras.tree.flatten(operation.input))
    return {
        convolution.name: layer.name
        for layer in model.layers
        if isinstance(layer, layers.BatchNormalization)
        and isinstance(convolution := producers[id(layer.input)], layers.Conv2D)
        and convolution.activation is keras.activations.linear
        and uses[id(layer.input)] == 1
    }


def _scale_and_offset(layer: layers.BatchNormalization) -> tuple[np.ndarray, np.ndarray]:
    """What inference multiplies by and adds, float64 [channels] each."""
    gamma, beta, mean, variance = np.array(layer.get_weights(), np.float64)
    scale = gamma / np.sqrt(variance + layer.epsilon)
    return scale, beta - mean * scale


def _fold(weights: Sequence[np.ndarray], scale: np.ndarray, offset: np.ndarray) -> list[np.ndarray]:
    """A convolution's kernel [h, w, in, out] and bias [out] that also scale and shift."""
    kernel, bias = weights if len(weights) == 2 else (weights[0], 0.0)
    return [kernel * scale, bias * scale + offset]
