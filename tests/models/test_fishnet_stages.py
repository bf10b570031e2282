"""Sizes, stems, stages, widths: which networks there are, and what is refused."""

import dataclasses

import pytest
from fishnets import SHORTEST, images

from models import configs, fishnet, torch_checkpoint

pytestmark = pytest.mark.slow  # they build big networks


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
