"""FishNet (Sun et al., NeurIPS 2018, https://arxiv.org/abs/1901.03495): backbone and classifier.

The network has the shape of a fish. Each stage of the tail halves the resolution; the bridge gates
the deepest feature; each stage of the body doubles the resolution and is concatenated with the
tail's feature of that resolution; each stage of the head halves it and is concatenated with the
body's.

Features are counted from the stem: feature 0 is the stem's output, feature i + 1 that of stage i.
The layer that gives feature i is named `feature_<i>`.

A layer that has weights bears the name of its module in the published PyTorch network, with "_" for
"."; `models.torch_checkpoint` finds it by that.

One thing differs from PyTorch, in training only: the plain Keras BatchNormalization averages the
biased variance of the batches into the moving variance, PyTorch the unbiased one. That is
n / (n - 1) times as great, n being the values of a channel in a batch: with 64 images of 64×64 at
least 256, which makes 0.4 %.
"""

import math
from collections.abc import Sequence

from keras import DTypePolicy, Input, KerasTensor, Model, dtype_policies, initializers, layers, ops

from models.configs import FishNetConfig, legal_sides, resolve, stem_stride


def build(
    config: str | FishNetConfig,
    num_classes: int,
    input_shape: Sequence[int] = (224, 224, 3),
    stem: str = "published",
    dtype: str | DTypePolicy | None = None,
    name: str | None = None,
) -> Model:
    """Build the classifier: normalised images (N, H, W, 3) → logits (N, num_classes).

    Example:
        >>> model = build("fishnet150", num_classes=200, input_shape=(64, 64, 3))
        >>> model.output_shape
        (None, 200)

    Args:
        config: Name in `models.configs.CONFIGS`, or a configuration of your own.
        num_classes: Number of classes.
        input_shape: (H, W, 3), both sides as `legal_sides` says.
        stem: "published", of stride 4, or "small", of stride 2, for small images. The two differ
            in the stride of the first convolution alone, so the same weights fit. "small" makes the
            network work on four times as many pixels: the deepest feature of a 64×64 image is 4×4,
            not 2×2, in the published networks. (A stride of 1 would make it sixteen times as many:
            more at 64×64 than "published" has at 224×224.)
        dtype: Dtype policy of all layers, or its name; None is Keras's global policy. The logits
            are computed in the dtype of the weights, so in float32 under a mixed policy.
        name: Name of the model; None is that of the configuration.

    Returns:
        A functional model. Its output has not been through a softmax.

    Raises:
        ValueError: If an argument is none of these. For `input_shape` the message names the nearest
            legal sides.
    """
    if num_classes < 1:
        raise ValueError(f"`num_classes` must be positive. Received: num_classes={num_classes}")
    backbone = build_backbone(config, input_shape, stem, dtype, name)
    network = _Network(resolve(config), dtype)
    logits = network.classifier(backbone.outputs[-1], num_classes)
    return Model(backbone.input, logits, name=backbone.name)


def build_backbone(
    config: str | FishNetConfig,
    input_shape: Sequence[int] = (224, 224, 3),
    stem: str = "published",
    dtype: str | DTypePolicy | None = None,
    name: str | None = None,
) -> Model:
    """Build the network without its classifier, for detection and segmentation.

    Example:
        >>> backbone = build_backbone("fishnet99", input_shape=(64, 64, 3))
        >>> [feature.shape for feature in backbone.outputs[5:8]]  # the body's
        [(None, 4, 4, 768), (None, 8, 8, 512), (None, 16, 16, 320)]

    Args:
        config: As in `build`; the same holds for the others.
        input_shape: (H, W, 3).
        stem: "published" or "small".
        dtype: Dtype policy of all layers, or its name.
        name: Name of the model.

    Returns:
        A functional model: normalised images (N, H, W, 3) → list of features, each (N, h, w, c).

    Raises:
        ValueError: As in `build`.
    """
    name = name or (config if isinstance(config, str) else "fishnet")
    config = resolve(config)
    _check_input(input_shape, config, stem)
    network = _Network(config, dtype)
    images = Input(input_shape, dtype=network.policy.variable_dtype, name="images")
    features = [network.stem(images, strides=stem_stride(stem) // 2)]
    for stage in config.tail:
        features.append(network.tail_stage(stage, features[-1]))
    features.append(network.bridge(features[-1]))
    for stage in config.body:
        source = features[config.transfer_sources[stage]]
        features.append(network.body_stage(stage, features[-1], source))
    for stage in config.head:
        source = features[config.transfer_sources[stage]]
        features.append(network.head_stage(stage, features[-1], source))
    return Model(images, features, name=name)


class _Network:
    """The parts of one network, as functions of features (N, h, w, c)."""

    def __init__(self, config: FishNetConfig, dtype: str | DTypePolicy | None) -> None:
        self.config = config
        self.policy = dtype_policies.get(dtype)

    def stem(self, images: KerasTensor, strides: int) -> KerasTensor:
        """Three convolutions, the first with `strides`, and a pool with strides of 2.

        PyTorch pads both ends of a side where "same" pads, when striding on an even side, only the
        last. Zeros do for the pool, since its input is nowhere negative.
        """
        planes = self.config.network_planes[0]
        x = self.pad(images, "conv1_pad")
        x = self.conv(x, planes // 2, 3, "conv1_0", strides=strides, padding="valid")
        x = self.bn_relu(x, "conv1_1")
        x = self.conv(x, planes // 2, 3, "conv2_0")
        x = self.bn_relu(x, "conv2_1")
        x = self.conv(x, planes, 3, "conv3_0")
        x = self.bn_relu(x, "conv3_1")
        x = self.pad(x, "pool_pad")
        return layers.MaxPooling2D(3, 2, dtype=self.policy, name="feature_0")(x)

    def tail_stage(self, stage: int, x: KerasTensor) -> KerasTensor:
        """Trunk, half the resolution."""
        return self.halve(self.trunk(stage, x), f"feature_{stage + 1}")

    def bridge(self, x: KerasTensor) -> KerasTensor:
        """Trunk of twice the channels, under a gate that sees the whole image."""
        stage = self.config.num_tail
        name = f"fish_fish_{stage}"
        channels = x.shape[-1]
        x = self.bn_relu(x, f"{name}_0_0")
        x = self.conv(x, channels // 2, 1, f"{name}_0_2")
        x = self.bn_relu(x, f"{name}_0_3")
        x = self.conv(x, channels * 2, 1, f"{name}_1", use_bias=True)
        gate = self.gate(stage, x)
        x = self.trunk(stage, x)
        return layers.Add(dtype=self.policy, name=f"feature_{stage + 1}")([x * gate, gate])

    def gate(self, stage: int, x: KerasTensor) -> KerasTensor:
        """Squeeze and excitation: (N, h, w, c) → (N, 1, 1, planes), between 0 and 1."""
        planes = self.config.network_planes[stage + 1]
        name = f"fish_fish_{stage}_3_0"
        x = self.bn_relu(x, f"{name}_0")
        x = self.global_average(x, f"{name}_2")
        x = self.conv(x, planes // 16, 1, f"{name}_3", use_bias=True)
        x = self.relu(x, f"{name}_4")
        x = self.conv(x, planes, 1, f"{name}_5", use_bias=True)
        return layers.Activation("sigmoid", dtype=self.policy, name="gate")(x)

    def body_stage(self, stage: int, x: KerasTensor, source: KerasTensor) -> KerasTensor:
        """Dilated trunk, twice the resolution, concatenation with the transferred `source`."""
        x = self.trunk(stage, x)
        x = layers.UpSampling2D(2, dtype=self.policy, name=f"fish_fish_{stage}_up")(x)
        return self.concatenate(stage, x, source)

    def head_stage(self, stage: int, x: KerasTensor, source: KerasTensor) -> KerasTensor:
        """Trunk, half the resolution, concatenation with the transferred `source`."""
        x = self.halve(self.trunk(stage, x), f"fish_fish_{stage}_down")
        return self.concatenate(stage, x, source)

    def classifier(self, x: KerasTensor, num_classes: int) -> KerasTensor:
        """The last feature → logits (N, num_classes)."""
        name = f"fish_fish_{self.config.head.stop - 1}"
        x = self.bn_relu(x, f"{name}_3_0")
        x = self.conv(x, x.shape[-1] // 2, 1, f"{name}_3_2")
        x = self.bn_relu(x, f"{name}_3_3")
        x = self.global_average(x, f"{name}_4_0")
        dtype = self.policy.variable_dtype
        x = self.conv(x, num_classes, 1, f"{name}_4_1", use_bias=True, dtype=dtype)
        return layers.Flatten(dtype=dtype, name="logits")(x)

    def trunk(self, stage: int, x: KerasTensor) -> KerasTensor:
        """The blocks that refine the feature before and bring it to the planes of the stage."""
        planes = self.config.network_planes[stage + 1]
        part = 2 if stage == self.config.num_tail else 0
        up = stage in self.config.body
        dilation = 2 ** (stage - self.config.body.start) if up else 1
        for block in range(self.config.num_res_blks[stage]):
            name = f"fish_fish_{stage}_{part}_{block}"
            x = self.bottleneck(x, planes, name, dilation, sum_channels=up)
        return x

    def concatenate(self, stage: int, x: KerasTensor, source: KerasTensor) -> KerasTensor:
        """`x`, and after it `source`, refined by the transfer blocks of the stage."""
        for block in range(self.config.num_trans_blks[stage - self.config.body.start]):
            source = self.bottleneck(source, source.shape[-1], f"fish_fish_{stage}_1_{block}")
        join = layers.Concatenate(dtype=self.policy, name=f"feature_{stage + 1}")
        return join([x, source])

    def bottleneck(
        self,
        x: KerasTensor,
        planes: int,
        name: str,
        dilation: int = 1,
        sum_channels: bool = False,
    ) -> KerasTensor:
        """Pre-activation residual block: (N, h, w, c) → (N, h, w, planes)."""
        if x.shape[-1] == planes:
            residual = x
        elif sum_channels:
            residual = _sum_adjacent_channels(x, planes)
        else:
            residual = self.bn_relu(x, f"{name}_shortcut_0")
            residual = self.conv(residual, planes, 1, f"{name}_shortcut_2")
        x = self.bn_relu(x, f"{name}_bn1")
        x = self.conv(x, planes // 4, 1, f"{name}_conv1")
        x = self.bn_relu(x, f"{name}_bn2")
        x = self.conv(x, planes // 4, 3, f"{name}_conv2", dilation_rate=dilation)
        x = self.bn_relu(x, f"{name}_bn3")
        x = self.conv(x, planes, 1, f"{name}_conv3")
        return layers.Add(dtype=self.policy, name=f"{name}_sum")([x, residual])

    def conv(
        self,
        x: KerasTensor,
        filters: int,
        kernel_size: int,
        name: str,
        strides: int = 1,
        padding: str = "same",
        dilation_rate: int = 1,
        use_bias: bool = False,
        dtype: str | None = None,
    ) -> KerasTensor:
        """Convolution, initialised as in PyTorch's FishNet."""
        bound = 1 / math.sqrt(kernel_size**2 * x.shape[-1])
        layer = layers.Conv2D(
            filters,
            kernel_size,
            strides,
            padding,
            dilation_rate=dilation_rate,
            use_bias=use_bias,
            # Initialisers are made anew for each layer: one object gives the same values twice.
            kernel_initializer=initializers.VarianceScaling(
                2.0, mode="fan_out", distribution="untruncated_normal"
            ),
            bias_initializer=initializers.RandomUniform(-bound, bound),
            dtype=dtype or self.policy,
            name=name,
        )
        return layer(x)

    def bn_relu(self, x: KerasTensor, name: str) -> KerasTensor:
        """Batch normalisation with PyTorch's constants, ReLU."""
        layer = layers.BatchNormalization(momentum=0.9, epsilon=1e-5, dtype=self.policy, name=name)
        return self.relu(layer(x), f"{name}_relu")

    def relu(self, x: KerasTensor, name: str) -> KerasTensor:
        return layers.ReLU(dtype=self.policy, name=name)(x)

    def pad(self, x: KerasTensor, name: str) -> KerasTensor:
        return layers.ZeroPadding2D(1, dtype=self.policy, name=name)(x)

    def halve(self, x: KerasTensor, name: str) -> KerasTensor:
        return layers.MaxPooling2D(2, dtype=self.policy, name=name)(x)

    def global_average(self, x: KerasTensor, name: str) -> KerasTensor:
        return layers.GlobalAveragePooling2D(keepdims=True, dtype=self.policy, name=name)(x)


def _sum_adjacent_channels(x: KerasTensor, planes: int) -> KerasTensor:
    """(N, h, w, k * planes) → (N, h, w, planes): output c sums inputs k * c … k * c + k - 1."""
    _, height, width, channels = x.shape
    if channels % planes:
        raise ValueError(
            f"`network_planes` of a stage of the body must divide the {channels} channels that "
            f"enter the stage. Received: {planes} in network_planes"
        )
    groups = ops.reshape(x, (-1, height, width, planes, channels // planes))
    return ops.sum(groups, axis=-1)


def _check_input(input_shape: Sequence[int], config: FishNetConfig, stem: str) -> None:
    if len(input_shape) != 3 or input_shape[2] != 3 or None in input_shape:
        raise ValueError(
            f"`input_shape` must be (height, width, 3). Received: input_shape={input_shape}"
        )
    for axis, side in zip(("height", "width"), input_shape[:2], strict=True):
        legal = legal_sides(side, config, stem)
        if side not in legal:
            raise ValueError(
                f"`input_shape` must have a {axis} of which ceil({axis} / {stem_stride(stem)}) is "
                f"a multiple of {2**config.num_tail}; the nearest: {' or '.join(map(str, legal))}. "
                f"Received: input_shape={tuple(input_shape)}"
            )
