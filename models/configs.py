"""The table of named FishNets, and which image sizes a network accepts.

Nothing of Keras is imported here, so that a command line can check a network's name and size at
once.
"""

import math
from dataclasses import dataclass, replace

STEM_STRIDES = {"published": 4, "small": 2}
BLOCK = 1.15  # weights of a block for each of its planes² (17/16, and batch normalisation)


@dataclass(frozen=True)
class FishNetConfig:
    """What distinguishes one FishNet from another: the published lists.

    The stages are `num_tail` of the tail, the bridge, `num_body` of the body, and the head's, which
    are as many as the lists have left.

    Args:
        network_planes: Channels of the stem and of the trunk of each stage, before concatenation.
        num_res_blks: Blocks in the trunk of each stage.
        num_trans_blks: Transfer blocks of each stage of body and head.
        num_tail: Stages of the tail.
        num_body: Stages of the body, at most `num_tail`.

    Raises:
        ValueError: If the lists do not describe a network.
    """

    network_planes: tuple[int, ...]
    num_res_blks: tuple[int, ...]
    num_trans_blks: tuple[int, ...]
    num_tail: int = 3
    num_body: int = 3

    def __post_init__(self) -> None:
        # A stage needs a feature of its resolution to be concatenated with: the body one of the
        # tail's, the head one of the body's.
        self._require(
            "num_body",
            f"from 1 to num_tail={self.num_tail}",
            1 <= self.num_body <= self.num_tail,
        )
        fewest = self.body.stop + 1
        most = self.body.stop + self.num_body
        self._require(
            "num_res_blks",
            f"{fewest} to {most} positive numbers",
            fewest <= len(self.num_res_blks) <= most and min(self.num_res_blks) > 0,
        )
        num_trans = len(self.body) + len(self.head)
        self._require(
            "num_trans_blks",
            f"{num_trans} positive numbers",
            len(self.num_trans_blks) == num_trans and min(self.num_trans_blks) > 0,
        )
        # The gate of the bridge squeezes to a sixteenth; every other layer divides by less.
        num_planes = len(self.num_res_blks) + 1
        self._require(
            "network_planes",
            f"{num_planes} positive multiples of 16",
            len(self.network_planes) == num_planes
            and all(planes > 0 and planes % 16 == 0 for planes in self.network_planes),
        )

    def _require(self, field: str, rule: str, holds: bool) -> None:
        if not holds:
            raise ValueError(f"`{field}` must be {rule}. Received: {field}={getattr(self, field)}")

    @property
    def tail(self) -> range:
        """Numbers of the tail's stages. The bridge is the stage that follows them."""
        return range(self.num_tail)

    @property
    def body(self) -> range:
        """Numbers of the body's stages."""
        return range(self.num_tail + 1, self.num_tail + 1 + self.num_body)

    @property
    def head(self) -> range:
        """Numbers of the head's stages."""
        return range(self.body.stop, len(self.num_res_blks))

    @property
    def transfer_sources(self) -> dict[int, int]:
        """For each stage of body and head, the feature of its resolution that it is given.

        The body goes back through the features before the bridge, the head through those before the
        body's last.
        """
        body = {stage: self.tail.stop - 1 - i for i, stage in enumerate(self.body)}
        head = {stage: self.body.stop - 1 - i for i, stage in enumerate(self.head)}
        return body | head


_PUBLISHED_PLANES = (64, 128, 256, 512, 512, 512, 384, 256, 320, 832, 1600)

CONFIGS = {
    # The published networks.
    "fishnet99": FishNetConfig(
        network_planes=_PUBLISHED_PLANES,
        num_res_blks=(2, 2, 6, 2, 1, 1, 1, 1, 2, 2),
        num_trans_blks=(1, 1, 1, 1, 1, 4),
    ),
    "fishnet150": FishNetConfig(
        network_planes=_PUBLISHED_PLANES,
        num_res_blks=(2, 4, 8, 4, 2, 2, 2, 2, 2, 4),
        num_trans_blks=(2, 2, 2, 2, 2, 4),
    ),
    "fishnet201": FishNetConfig(
        network_planes=_PUBLISHED_PLANES,
        num_res_blks=(3, 4, 12, 4, 2, 2, 2, 2, 3, 10),
        num_trans_blks=(2, 2, 2, 2, 2, 9),
    ),
    # The networks of the Tiny ImageNet study.
    "fishnet_simple": FishNetConfig(
        network_planes=(32, 64, 128, 128, 128, 96, 128, 160),
        num_res_blks=(2, 4, 8, 1, 1, 1, 2),
        num_trans_blks=(1, 1, 1, 4),
        num_tail=2,
        num_body=2,
    ),
    "fishnet_medium": FishNetConfig(
        network_planes=(32, 64, 128, 256, 256, 256, 192, 128, 160),
        num_res_blks=(2, 2, 2, 2, 1, 1, 1, 1),
        num_trans_blks=(1, 1, 1, 1),
    ),
    "fishnet_complex": FishNetConfig(
        network_planes=(32, 64, 128, 256, 256, 256, 192, 128, 160),
        num_res_blks=(2, 4, 8, 4, 2, 2, 2, 2),
        num_trans_blks=(1, 1, 1, 1),
    ),
    # fishnet_simple with half the planes and one block wherever there were more: for tests, demos.
    "fishnet_tiny": FishNetConfig(
        network_planes=(16, 32, 64, 64, 64, 48, 64, 80),
        num_res_blks=(1, 1, 1, 1, 1, 1, 1),
        num_trans_blks=(1, 1, 1, 1),
        num_tail=2,
        num_body=2,
    ),
}


def legal_sides(side: int, config: str | FishNetConfig, stem: str = "published") -> tuple[int, ...]:
    """Heights (or widths) nearest to `side` that a network accepts: `(side,)` if it is one of them.

    The stem makes ceil(side / stride) of a side. That must be a multiple of 2**num_tail: then each
    stage of the tail halves it without remainder, and the body returns to the same resolutions.

    Example:
        >>> legal_sides(40, "fishnet99")
        (32, 61)

    Args:
        side: Pixels.
        config: Name in `CONFIGS`, or a configuration of your own.
        stem: "published" or "small".

    Returns:
        `side`, or the nearest smaller legal side, where there is one, and the nearest greater one.

    Raises:
        ValueError: If `config` or `stem` is not known.
    """
    stride = stem_stride(stem)
    step = stride * 2 ** resolve(config).num_tail
    multiple = max(1, math.ceil(side / step)) * step
    if side > multiple - stride:
        return (side,)
    return tuple(legal for legal in (multiple - step, multiple - stride + 1) if legal > 0)


def scaled(config: str | FishNetConfig, width: float = 1.0, depth: float = 1.0) -> FishNetConfig:
    """A network of the same shape with other numbers of channels and of blocks.

    Example:
        >>> scaled("fishnet_simple", width=0.5).network_planes
        (16, 32, 64, 64, 64, 48, 64, 80)

    Args:
        config: Name in `CONFIGS`, or a configuration of your own.
        width: Factor of all planes, a multiple of `width_step`.
        depth: Factor of the blocks of each stage, in trunk and transfer, rounded, halves up; one
            stays at least.

    Raises:
        ValueError: If `config` is not known, or it cannot have this width or depth.
    """
    config = resolve(config)
    step = width_step(config)
    if not (width > 0 and (width / step).is_integer()):
        raise ValueError(f"`width` must be a positive multiple of {step:g}. Received: {width=}")
    if not 0 < depth < math.inf:
        raise ValueError(f"`depth` must be positive and finite. Received: {depth=}")

    def blocks(numbers: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(max(1, math.floor(number * depth + 0.5)) for number in numbers)

    return replace(
        config,
        network_planes=tuple(round(planes * width) for planes in config.network_planes),
        num_res_blks=blocks(config.num_res_blks),
        num_trans_blks=blocks(config.num_trans_blks),
    )


def approximate_weights(config: str | FishNetConfig, num_classes: int) -> float:
    """About how many weights a network has, without building it: up to 1.6 times as many, not less.

    Only the larger convolutions are counted, with some allowance for the rest.

    Args:
        config: Name in `CONFIGS`, or a configuration of your own.
        num_classes: Number of classes.
    """
    config = resolve(config)
    channels = [config.network_planes[0]]  # of each feature
    weights = 0.0
    stages = zip(config.network_planes[1:], config.num_res_blks, strict=True)
    for stage, (planes, blocks) in enumerate(stages):
        # A block: 1×1, 3×3 and 1×1, of a quarter of the planes. The first one sees other channels.
        weights += BLOCK * blocks * planes**2 + 1.25 * channels[-1] * planes
        if stage == config.num_tail:
            weights += 3 * channels[-1] ** 2  # the bridge doubles its channels
        if stage in config.transfer_sources:
            source = channels[config.transfer_sources[stage]]
            weights += BLOCK * config.num_trans_blks[stage - config.body.start] * source**2
            planes += source
        channels.append(planes)
    return weights + channels[-1] / 2 * (channels[-1] + num_classes)


def width_step(config: str | FishNetConfig) -> float:
    """The factors that leave all planes multiples of 16 are the multiples of this one.

    As all planes are scaled alike, those of a stage of the body still divide what enters it.
    """
    return 16 / math.gcd(*resolve(config).network_planes)


def resolve(config: str | FishNetConfig) -> FishNetConfig:
    """The configuration that `config` names, or is."""
    if isinstance(config, FishNetConfig):
        return config
    if config not in CONFIGS:
        names = ", ".join(CONFIGS)
        raise ValueError(
            f"`config` must be a FishNetConfig or one of {names}. Received: config={config!r}"
        )
    return CONFIGS[config]


def stem_stride(stem: str) -> int:
    """By how much a stem reduces the image's sides."""
    if stem not in STEM_STRIDES:
        names = ", ".join(STEM_STRIDES)
        raise ValueError(f"`stem` must be one of {names}. Received: stem={stem!r}")
    return STEM_STRIDES[stem]
