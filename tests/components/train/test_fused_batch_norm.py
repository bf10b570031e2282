import keras
import numpy as np
import pytest
import tensorflow as tf

from components.train.fused_batch_norm import FusedBatchNormalization

SHAPE = (6, 5, 7, 3)
VALUES = SHAPE[0] * SHAPE[1] * SHAPE[2]  # of a channel in a batch


@pytest.fixture
def features():
    tf.random.set_seed(0)
    return tf.random.normal(SHAPE, 3.0, 2.0)


def layer(kind: type[keras.layers.BatchNormalization], **arguments: object):
    """A layer with weights that are not the initial ones."""
    made = kind(momentum=0.9, epsilon=1e-5, **arguments)
    made.build(SHAPE)
    made.set_weights(
        [np.float32([1.5, 0.5, -2]), np.float32([1, 0, -1]), np.zeros(3), np.float32([1, 2, 3])]
    )
    return made


def applied(made: keras.Layer, features: tf.Tensor, training: bool):
    """Outputs, and the gradients of features, gamma and beta."""
    weight = tf.reshape(tf.range(features.shape.num_elements(), dtype=tf.float32), SHAPE) % 7
    with tf.GradientTape() as tape:
        tape.watch(features)
        outputs = made(features, training=training)
        loss = tf.reduce_sum(weight * tf.cast(outputs, tf.float32))
    wanted = [features, *(variable.value for variable in (made.gamma, made.beta))]
    return outputs, tape.gradient(loss, wanted)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
def test_outputs_and_gradients_are_those_of_keras(features, training, dtype):
    if dtype == "mixed_bfloat16":
        features = tf.cast(features, tf.bfloat16)
    ours, ours_gradients = applied(layer(FusedBatchNormalization, dtype=dtype), features, training)
    plain = layer(keras.layers.BatchNormalization, dtype=dtype)
    outputs, gradients = applied(plain, features, training)
    assert ours.dtype == outputs.dtype == features.dtype
    close = 1e-4 if dtype == "float32" else 0.03  # bfloat16 has eight bits
    for got, wanted in zip([ours, *ours_gradients], [outputs, *gradients], strict=True):
        got, wanted = (np.asarray(tf.cast(value, tf.float32)) for value in (got, wanted))
        np.testing.assert_allclose(got, wanted, atol=close * np.abs(wanted).max())


def test_moving_moments_are_those_of_keras_but_for_the_variance_being_unbiased(features):
    ours, plain = layer(FusedBatchNormalization), layer(keras.layers.BatchNormalization)
    before = plain.moving_variance.numpy()
    for made in (ours, plain):
        made(features, training=True)
    np.testing.assert_allclose(ours.moving_mean, plain.moving_mean, rtol=1e-5)
    added = plain.moving_variance.numpy() - 0.9 * before
    wanted = 0.9 * before + added * VALUES / (VALUES - 1)
    np.testing.assert_allclose(ours.moving_variance, wanted, rtol=1e-5)


def test_frozen_layer_keeps_its_moments_and_uses_them(features):
    frozen = layer(FusedBatchNormalization)
    frozen.trainable = False
    before = [weight.numpy() for weight in frozen.weights]
    outputs = frozen(features, training=True)
    np.testing.assert_array_equal(outputs, frozen(features, training=False))
    np.testing.assert_array_equal([weight.numpy() for weight in frozen.weights], before)


def test_is_the_same_after_it_was_saved():
    saved = keras.saving.serialize_keras_object(layer(FusedBatchNormalization, synchronized=True))
    loaded = keras.saving.deserialize_keras_object(saved)
    assert isinstance(loaded, FusedBatchNormalization)
    assert (loaded.momentum, loaded.epsilon, loaded.synchronized) == (0.9, 1e-5, True)


@pytest.mark.parametrize(("shape", "axis"), [((None, 4), -1), ((None, 3, 4, 4), 1)])
def test_other_features_are_refused(shape, axis):
    with pytest.raises(ValueError, match=r"last axis of \[batch, height, width, channels\]"):
        FusedBatchNormalization(axis=axis).build(shape)
