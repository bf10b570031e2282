"""FishNet against the published network's figures, and what it refuses."""

import dataclasses
import functools
import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from models import configs, fishnet, torch_checkpoint

pytestmark = pytest.mark.slow  # they build big networks

SHORTEST = configs.FishNetConfig(
    network_planes=(16, 32, 32, 32, 48),
    num_res_blks=(1, 1, 1, 1),
    num_trans_blks=(1, 1),
    num_tail=1,
    num_body=1,
)


def layers_of(model, kind):
    return [layer for layer in model.layers if isinstance(layer, kind)]


def count(weights):
    return sum(int(np.prod(weight.shape)) for weight in weights)


def images(*shape, seed=1234):
    return np.random.RandomState(seed).standard_normal(shape).astype("float32")


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


# Sizes, stems, stages


def test_legal_sides_of_the_published_networks():
    sides = [*range(1, 100), *range(217, 229)]
    legal = [side for side in sides if configs.legal_sides(side, "fishnet99") == (side,)]
    assert legal == [*range(29, 33), *range(61, 65), *range(93, 97), *range(221, 225)]


@pytest.mark.parametrize(
    ("side", "stem", "nearest"),
    [
        (1, "published", (13,)),
        (12, "published", (13,)),
        (17, "published", (16, 29)),
        (28, "published", (16, 29)),
        (0, "published", (13,)),
        (6, "small", (7,)),
        (9, "small", (8, 15)),
        (14, "small", (8, 15)),
    ],
)
def test_legal_sides_are_the_nearest(side, stem, nearest):
    assert configs.legal_sides(side, "fishnet_tiny", stem) == nearest


@pytest.mark.parametrize(
    ("stem", "input_shape", "message"),
    [
        ("published", (40, 64, 3), r"height .*ceil\(height / 4\) .* 8; the nearest: 32 or 61\."),
        ("published", (64, 230, 3), r"width .*the nearest: 224 or 253\. Received: .*64, 230, 3"),
        ("small", (64, 40, 3), r"width .*ceil\(width / 2\) .*: 32 or 47\."),
        ("published", (64, 64, 1), r"`input_shape` must be \(height, width, 3\)"),
        ("published", (None, None, 3), r"`input_shape` must be \(height, width, 3\)"),
        ("published", (64, 64), r"`input_shape` must be \(height, width, 3\)"),
        ("large", (64, 64, 3), "`stem` must be one of published, small. Received: stem='large'"),
    ],
)
def test_refuses_an_input_that_does_not_fit(stem, input_shape, message):
    with pytest.raises(ValueError, match=message):
        fishnet.build("fishnet99", 10, input_shape, stem)


@pytest.mark.parametrize(
    ("stem", "side", "sides"),
    [
        ("published", 13, [4, 2, 1, 1, 2, 4, 2, 1]),
        ("small", 31, [16, 8, 4, 4, 8, 16, 8, 4]),
    ],
)
def test_features_of_the_tiny_network(stem, side, sides):
    backbone = fishnet.build_backbone("fishnet_tiny", (side, 16, 3), stem)
    channels = [16, 32, 64, 64, 96, 64, 160, 144]
    features = backbone(images(2, side, 16, 3))
    assert [(f.shape[1], f.shape[3]) for f in features] == list(zip(sides, channels, strict=True))


def test_stems_have_the_same_parameters():
    published, small = (
        torch_checkpoint.state_shapes(fishnet.build(SHORTEST, 10, (16, 16, 3), stem))
        for stem in ("published", "small")
    )
    assert published == small


@pytest.mark.parametrize(
    ("network", "sources"),
    [
        ("fishnet99", [2, 1, 0, 6, 5, 4]),
        ("fishnet_simple", [1, 0, 4, 3]),
        ("fishnet_medium", [2, 1, 0, 6]),
        ("fishnet_complex", [2, 1, 0, 6]),
    ],
)
def test_transfer_sources_are_the_published_ones(network, sources):
    assert list(configs.CONFIGS[network].transfer_sources.values()) == sources


@pytest.mark.parametrize(
    ("num_tail", "num_body", "planes", "sides"),
    [
        (1, 1, SHORTEST.network_planes, [16, 8, 8, 16, 8]),
        (3, 2, (16, 16, 32, 48, 48, 48, 16, 32), [16, 8, 4, 2, 2, 4, 8, 4]),
        (4, 4, (16,) * 11, [16, 8, 4, 2, 1, 1, 2, 4, 8, 16, 8]),
    ],
)
def test_any_number_of_stages(num_tail, num_body, planes, sides):
    num_stages = len(planes) - 1
    config = configs.FishNetConfig(
        network_planes=planes,
        num_res_blks=(1,) * num_stages,
        num_trans_blks=(1,) * (num_stages - num_tail - 1),
        num_tail=num_tail,
        num_body=num_body,
    )
    backbone = fishnet.build_backbone(config, (64, 64, 3))
    assert [feature.shape[1] for feature in backbone(images(1, 64, 64, 3))] == sides
    assert fishnet.build(config, 7, (64, 64, 3)).output_shape == (None, 7)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_body": 0}, "`num_body` must be from 1 to num_tail=1. Received: num_body=0"),
        ({"num_body": 2}, "`num_body` must be from 1 to num_tail=1. Received: num_body=2"),
        ({"num_res_blks": (1, 1, 1)}, "`num_res_blks` must be 4 to 4 positive numbers"),
        ({"num_res_blks": (1, 1, 1, 0)}, "`num_res_blks` must be .* positive"),
        ({"num_trans_blks": (1,)}, "`num_trans_blks` must be 2 positive numbers"),
        ({"num_trans_blks": (1, 0)}, "`num_trans_blks` must be 2 positive numbers"),
        (
            {"network_planes": (16, 32, 32, 32)},
            "`network_planes` must be 5 positive multiples of 16",
        ),
        ({"network_planes": (16, 32, 32, 32, 40)}, "`network_planes` must be .* multiples of 16"),
    ],
)
def test_refuses_lists_that_describe_no_network(change, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(SHORTEST, **change)


def test_refuses_planes_that_do_not_divide():
    config = dataclasses.replace(SHORTEST, network_planes=(16, 32, 80, 48, 48))
    with pytest.raises(ValueError, match=r"must divide the 80 channels .* Received: 48"):
        fishnet.build(config, 10, (64, 64, 3))


@pytest.mark.parametrize(
    ("name", "width", "depth"), [("fishnet_simple", 0.5, 0.5), ("fishnet_tiny", 2, 1)]
)
def test_network_of_another_width_and_depth(name, width, depth):
    config = configs.scaled(name, width, depth)
    channels = fishnet.build_backbone(name, (64, 64, 3)).outputs
    scaled = fishnet.build_backbone(config, (64, 64, 3)).outputs
    assert [x.shape[1:3] for x in scaled] == [x.shape[1:3] for x in channels]
    assert [x.shape[-1] for x in scaled] == [x.shape[-1] * width for x in channels]


def test_depth_rounds_the_blocks_and_leaves_one():
    config = configs.scaled("fishnet99", depth=0.75)
    assert config.num_res_blks == (2, 2, 5, 2, 1, 1, 1, 1, 2, 2)  # of 2, 2, 6, 2, 1, …
    assert config.num_trans_blks == (1, 1, 1, 1, 1, 3)
    assert config.network_planes == configs.CONFIGS["fishnet99"].network_planes
    assert set(configs.scaled("fishnet99", depth=0.01).num_res_blks) == {1}
    assert configs.scaled("fishnet99") == configs.CONFIGS["fishnet99"]


@pytest.mark.parametrize("name", configs.CONFIGS)
def test_narrowest_network_of_each_name_is_one(name):
    fishnet.build_backbone(configs.scaled(name, width=configs.width_step(name)), (64, 64, 3))


@pytest.mark.parametrize(
    ("name", "scale", "message"),
    [
        ("fishnet99", {"width": 0.3}, "`width` must be a positive multiple of 0.25. .*: width=0.3"),
        ("fishnet_tiny", {"width": 0.5}, "`width` must be a positive multiple of 1"),
        ("fishnet_tiny", {"width": 0}, "`width` must be a positive multiple of 1"),
        ("fishnet99", {"depth": 0}, "`depth` must be positive and finite"),
        ("fishnet98", {}, "`config` must be"),
    ],
)
def test_refuses_a_width_or_depth_that_a_network_cannot_have(name, scale, message):
    with pytest.raises(ValueError, match=message):
        configs.scaled(name, **scale)


def test_refuses_unknown_names_and_no_classes():
    with pytest.raises(ValueError, match=r"one of fishnet99, .* Received: config='fishnet100'"):
        fishnet.build("fishnet100", 10)
    with pytest.raises(ValueError, match=r"`num_classes` .* Received: num_classes=0"):
        fishnet.build("fishnet_tiny", 0)


# Dtypes and files


def test_mixed_precision_gives_float32_logits_near_those_of_float32():
    full = fishnet.build(SHORTEST, 10, (32, 32, 3), dtype="float32")
    mixed = fishnet.build(SHORTEST, 10, (32, 32, 3), dtype="mixed_bfloat16")
    mixed.set_weights(full.get_weights())
    batch = images(4, 32, 32, 3)
    logits, expected = mixed(batch), full(batch).numpy()
    assert logits.dtype == tf.float32
    assert {weight.dtype for weight in mixed.weights} == {"float32"}
    assert mixed.get_layer("feature_4").compute_dtype == "bfloat16"
    assert mixed.get_layer("fish_fish_3_4_1").compute_dtype == "float32"
    assert 0 < np.abs(logits - expected).max() < 0.05 * np.abs(expected).max()
    assert keras.config.dtype_policy().name == "float32"


def test_float64_is_not_rounded_on_the_way_in():
    model = fishnet.build(SHORTEST, 10, (16, 16, 3), dtype="float64")
    batch = np.random.RandomState(0).standard_normal((2, 16, 16, 3))
    assert model(batch).dtype == tf.float64
    assert np.abs(model(batch) - model(batch.astype("float32"))).max() > 0


def test_survives_saving(tmp_path):
    model = fishnet.build(SHORTEST, 10, (16, 16, 3))
    batch = images(2, 16, 16, 3)
    model.save(tmp_path / "network.keras")
    loaded = keras.models.load_model(tmp_path / "network.keras")
    np.testing.assert_array_equal(loaded(batch), model(batch))
    assert torch_checkpoint.state_shapes(loaded) == torch_checkpoint.state_shapes(model)


def test_survives_exporting(tmp_path):
    model = fishnet.build(SHORTEST, 10, (16, 16, 3))
    batch = images(2, 16, 16, 3)
    model.export(tmp_path / "exported", verbose=False)
    exported = tf.saved_model.load(tmp_path / "exported")
    np.testing.assert_allclose(exported.serve(batch), model(batch), rtol=0, atol=1e-5)
