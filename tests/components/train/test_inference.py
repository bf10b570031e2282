import keras
import numpy as np
import pytest
import tensorflow as tf

from components.train.inference import LARGEST_CONSTANT, fold_batch_normalization, freeze

KERNEL, PIXELS = (3, 3, 3, 4), (2, 8, 8, 3)


@pytest.fixture
def pixels():
    return np.random.default_rng(0).normal(size=PIXELS).astype(np.float32)


def convolution(use_bias: bool = False, activation: str | None = None) -> keras.layers.Layer:
    return keras.layers.Conv2D(
        4, 3, use_bias=use_bias, activation=activation, bias_initializer="ones", name="conv"
    )


def normalization() -> keras.layers.Layer:
    """With moments, scale and centre of its own, and an epsilon that counts."""
    random = keras.initializers.RandomUniform
    return keras.layers.BatchNormalization(
        epsilon=0.1,
        gamma_initializer=random(0.5, 2, seed=1),
        beta_initializer=random(-1, 1, seed=2),
        moving_mean_initializer=random(-1, 1, seed=3),
        moving_variance_initializer=random(0.5, 2, seed=4),
    )


def build(head) -> keras.Model:
    images = keras.Input(PIXELS[1:])
    return keras.Model(images, head(images))


def answer(network: keras.Model, pixels: np.ndarray) -> np.ndarray:
    return network(pixels, training=False).numpy()


@pytest.mark.parametrize("use_bias", [False, True])
def test_normalization_after_a_convolution_goes_into_it(pixels, use_bias):
    network = build(
        lambda images: keras.layers.ReLU()(normalization()(convolution(use_bias)(images)))
    )
    folded = fold_batch_normalization(network)
    assert [type(layer).__name__ for layer in folded.layers] == ["InputLayer", "Conv2D", "ReLU"]
    np.testing.assert_allclose(answer(folded, pixels), answer(network, pixels), atol=1e-5)


def feeding_two(images):
    x = convolution()(images)
    return normalization()(x) + x


def giving_its_output(images):
    x = convolution()(images)
    return [normalization()(x), x]


@pytest.mark.parametrize(
    "head",
    [
        lambda images: normalization()(images),
        lambda images: normalization()(convolution(activation="relu")(images)),
        lambda images: convolution()(normalization()(images)),
        feeding_two,
        giving_its_output,
    ],
    ids=["no convolution", "activation between", "before it", "two uses", "an output"],
)
def test_other_normalization_becomes_a_scale_and_an_offset(pixels, head):
    network = build(head)
    folded = fold_batch_normalization(network)
    assert not any(isinstance(layer, keras.layers.BatchNormalization) for layer in folded.layers)
    assert [weight.name for weight in folded.weights] == ["kernel"] * len(folded.weights) or (
        network.get_layer("conv").use_bias
    )
    for got, wanted in zip(
        keras.tree.flatten(folded(pixels)), keras.tree.flatten(network(pixels)), strict=True
    ):
        np.testing.assert_allclose(got, wanted, atol=1e-5)


def test_folding_leaves_the_trained_network_as_it_was(pixels):
    network = build(lambda images: normalization()(convolution()(images)))
    before = answer(network, pixels)
    fold_batch_normalization(network)
    np.testing.assert_array_equal(answer(network, pixels), before)


def test_fishnet_answers_alike_and_has_no_batch_normalization(fish):
    pixels = np.random.default_rng(1).normal(size=(4, *fish.input_shape[1:])).astype(np.float32)
    folded = fold_batch_normalization(fish)
    assert not any(isinstance(layer, keras.layers.BatchNormalization) for layer in folded.layers)
    assert folded.count_params() < fish.count_params()
    wanted = tf.nn.softmax(answer(fish, pixels))
    np.testing.assert_allclose(tf.nn.softmax(answer(folded, pixels)), wanted, atol=1e-5)
    logits, _ = freeze(folded)
    np.testing.assert_allclose(tf.nn.softmax(logits(tf.constant(pixels))), wanted, atol=1e-5)


def test_only_large_weights_stay_variables(pixels):
    wide = 1 + LARGEST_CONSTANT // (4 * 8 * 8 * 3)
    images = keras.Input(PIXELS[1:])
    small, large = keras.layers.Dense(2), keras.layers.Dense(wide)
    flat = keras.layers.Flatten()(images)
    network = keras.Model(images, keras.layers.Concatenate()([small(flat), large(flat)]))
    logits, weights = freeze(network)
    [weight] = weights
    np.testing.assert_array_equal(weight, large.kernel)
    concrete = tf.function(logits).get_concrete_function(tf.TensorSpec(pixels.shape))
    assert [variable is weight for variable in concrete.variables] == [True]
    assert not concrete.trainable_variables
    np.testing.assert_allclose(concrete(tf.constant(pixels)), answer(network, pixels), atol=1e-5)
