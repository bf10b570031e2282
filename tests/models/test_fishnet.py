"""FishNet against the published network's figures: parameters, outputs, a training step."""

import functools
import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from fishnets import SHORTEST, images

from models import configs, fishnet, torch_checkpoint

pytestmark = pytest.mark.slow  # they build big networks


def layers_of(model, kind):
    return [layer for layer in model.layers if isinstance(layer, kind)]


def count(weights):
    return sum(int(np.prod(weight.shape)) for weight in weights)


@functools.cache
def build_fishnet99(classes, input_shape, dtype):
    return fishnet.build("fishnet99", classes, input_shape, dtype=dtype)


def published_network(checkpoint, classes, input_shape, dtype):
    """A fishnet99 with the reference's weights."""
    model = build_fishnet99(classes, input_shape, dtype)
    torch_checkpoint.load(model, checkpoint("fishnet99", classes))
    return model


# Parameters


@pytest.mark.parametrize(
    ("network", "trainable", "moving"),
    [
        ("fishnet99", 15_783_304, 59_456),
        ("fishnet150", 24_113_800, 86_336),
        ("fishnet201", 43_738_952, 131_840),
        ("fishnet_simple", 654_368, 13_216),
        ("fishnet_medium", 1_021_224, 13_216),
        ("fishnet_complex", 1_775_624, 22_336),
        ("fishnet_tiny", 107_156, 3_776),
    ],
)
def test_parameters_for_200_classes(network, trainable, moving):
    model = fishnet.build(network, 200, (64, 64, 3))
    assert count(model.trainable_weights) == trainable
    assert count(model.non_trainable_weights) == moving
    assert len(torch_checkpoint.variables(model)) == len(model.weights)
    about = configs.approximate_weights(network, 200)
    assert trainable + moving <= about <= 1.6 * (trainable + moving)


@pytest.mark.parametrize(
    ("network", "trainable", "moving"),
    [
        ("fishnet99", 16_628_904, 59_456),
        ("fishnet150", 24_959_400, 86_336),
        ("fishnet201", 44_584_552, 131_840),
    ],
)
def test_parameters_for_1000_classes_are_the_published_ones(
    network, trainable, moving, reference, checkpoint
):
    model = fishnet.build(network, 1000, (64, 64, 3))
    assert count(model.trainable_weights) == trainable
    assert count(model.non_trainable_weights) == moving
    norms = layers_of(model, keras.layers.BatchNormalization)
    assert len(norms) == int(network.removeprefix("fishnet"))
    published = {
        key: tuple(shape)
        for key, shape, _ in json.loads((reference / f"{network}_state.json").read_text())
        if not key.endswith(".num_batches_tracked")
    }
    assert torch_checkpoint.state_shapes(model) == published
    torch_checkpoint.load(model, checkpoint(network, 1000))
    logits = model(images(2, 64, 64, 3)).numpy()
    assert np.isfinite(logits).all()
    assert 1 < logits.std() < 10  # the reference's figures: 1.6 to 5.4


# Outputs


@pytest.mark.parametrize(
    ("classes", "shape", "size", "dtype"),
    [
        (1000, (1, 96, 160, 3), "96x160", "float32"),
        (200, (1, 96, 160, 3), "96x160", "float64"),
        (200, (2, 64, 64, 3), "64", "float32"),
        (1000, (2, 64, 64, 3), "64", "float64"),
        (200, (2, 224, 224, 3), "224", "float32"),
        (1000, (2, 224, 224, 3), "224", "float64"),
    ],
)
def test_logits_are_the_published_networks(classes, shape, size, dtype, reference, checkpoint):
    model = published_network(checkpoint, classes, shape[1:], dtype)
    expected = np.load(reference / f"fishnet99_{classes}.npz")[f"eval_{size}_f64"]
    tolerance = {"float32": 1e-4, "float64": 1e-9}[dtype]
    np.testing.assert_allclose(model(images(*shape)), expected, rtol=0, atol=tolerance)


def test_features_gate_and_logits_are_the_published_networks(reference, checkpoint):
    expected = np.load(reference / "fishnet99_200.npz")
    model = published_network(checkpoint, 200, (64, 64, 3), "float64")
    names = ["logits", "gate", *(f"feature_{i}" for i in range(11))]
    inner = keras.Model(model.input, [model.get_layer(name).output for name in names])
    logits, gate, *features = (output.numpy() for output in inner(images(2, 64, 64, 3)))
    actual = {"eval_64_f64": logits, "att_64_f64": gate[:, 0, 0]}
    for i, feature in enumerate(features):
        actual[f"feat{i}_64_chmean_f64"] = feature.mean(axis=(1, 2))
        actual[f"feat{i}_64_corner_f64"] = feature[0, 0, :2].T
    for key, value in actual.items():
        np.testing.assert_allclose(value, expected[key], rtol=0, atol=1e-9, err_msg=key)


@pytest.mark.parametrize(
    ("network", "dilations"),
    [
        ("fishnet_complex", {4: 1, 5: 2, 6: 4}),
        ("fishnet_simple", {3: 1, 4: 2}),
    ],
)
def test_every_trunk_block_of_a_body_stage_is_dilated_and_no_other(network, dilations):
    backbone = fishnet.build_backbone(network, (64, 64, 3))
    actual = {
        layer.name: layer.dilation_rate[0] for layer in layers_of(backbone, keras.layers.Conv2D)
    }
    config = configs.CONFIGS[network]
    expected = {
        f"fish_fish_{stage}_0_{block}_conv2": dilation
        for stage, dilation in dilations.items()
        for block in range(config.num_res_blks[stage])
    }
    assert actual == {name: expected.get(name, 1) for name in actual}
    assert expected.keys() <= actual.keys()


# Training


@pytest.mark.parametrize(
    ("dtype", "tolerance", "norm_tolerance"),
    [("float64", 1e-9, 1e-9), ("float32", 2e-3, 0.05)],
)
def test_training_step_is_the_published_networks(
    dtype, tolerance, norm_tolerance, reference, checkpoint
):
    expected = np.load(reference / "fishnet99_200.npz")
    model = published_network(checkpoint, 200, (64, 64, 3), dtype)
    variables = torch_checkpoint.variables(model)
    before = {key: variable.numpy() for key, variable in variables.items()}
    keys = list(expected["train_param_names"])
    with tf.GradientTape() as tape:
        logits = model(images(8, 64, 64, 3, seed=77), training=True)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, dtype=dtype)(
            np.arange(8), logits
        )
    gradients = tape.gradient(loss, [variables[key].value for key in keys])

    np.testing.assert_allclose(logits, expected["train_logits_f64"], rtol=0, atol=tolerance)
    np.testing.assert_allclose(loss, expected["train_loss_f64"], rtol=0, atol=tolerance)
    norms = expected["train_gradnorm_f64"]
    for key, gradient, norm in zip(keys, gradients, norms, strict=True):
        if key == "fish.fish.3.1.bias":
            continue  # batch normalisation takes it away again: its gradient is zero but for noise
        assert np.linalg.norm(gradient) == pytest.approx(norm, rel=norm_tolerance), key
        if f"train_grad_f64/{key}" in expected:
            whole = gradient.numpy()
            whole = whole.transpose(3, 2, 0, 1) if whole.ndim == 4 else whole
            difference = whole - expected[f"train_grad_f64/{key}"]
            assert np.linalg.norm(difference) <= norm_tolerance * norm, key
    # Sides of the map that enters each of these layers.
    sides = {"conv1.1": 32, "fish.fish.3.3.0.0": 2, "fish.fish.6.0.0.bn1": 8, "fish.fish.9.3.3": 2}
    for norm, side in sides.items():
        key = f"{norm}.running_mean"
        np.testing.assert_allclose(
            variables[key], expected[f"train_{key}_f64"], rtol=0, atol=tolerance, err_msg=key
        )
        key = f"{norm}.running_var"
        values = 8 * side**2
        kept = 0.9 * before[key]
        unbiased = kept + (variables[key].numpy() - kept) * values / (values - 1)
        np.testing.assert_allclose(
            unbiased, expected[f"train_{key}_f64"], rtol=0, atol=tolerance, err_msg=key
        )


def test_initial_weights_are_drawn_as_published():
    model = fishnet.build("fishnet_medium", 200, (64, 64, 3))
    for layer in layers_of(model, keras.layers.Conv2D):
        height, width, channels, filters = layer.kernel.shape
        kernel = layer.kernel.numpy() / np.sqrt(2 / (height * width * filters))
        few = 5 / np.sqrt(kernel.size)  # five standard errors
        assert abs(kernel.mean()) < few, layer.name
        assert kernel.std() == pytest.approx(1, abs=few), layer.name
        if kernel.size > 10_000:
            assert abs(kernel).max() > 3, f"{layer.name} is truncated"
        if layer.use_bias:
            bias = layer.bias.numpy() * np.sqrt(height * width * channels)
            assert abs(bias).max() <= 1, layer.name
            assert bias.std() == pytest.approx(1 / np.sqrt(3), rel=0.5), layer.name
    biased = [layer for layer in layers_of(model, keras.layers.Conv2D) if layer.use_bias]
    assert len(biased) == 4
    for layer in layers_of(model, keras.layers.BatchNormalization):
        assert (layer.gamma.numpy() == 1).all()
        assert (layer.beta.numpy() == 0).all()


def test_initial_weights_follow_the_seed_and_no_two_layers_are_alike():
    def kernels(seed):
        keras.utils.set_random_seed(seed)
        model = fishnet.build(SHORTEST, 10, (16, 16, 3))
        return [layer.kernel.numpy() for layer in layers_of(model, keras.layers.Conv2D)]

    first, again, other = kernels(1), kernels(1), kernels(2)
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not any(np.array_equal(a, b) for a, b in zip(first, other, strict=True))
    assert len({kernel.tobytes() for kernel in first}) == len(first)
