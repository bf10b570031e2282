"""The parts of FishNet: stem, stages, blocks and layers, as functions of features.

A layer that has weights bears the name of its module in the published PyTorch network, with "_" for
"."; `models.torch_checkpoint` finds it by that.

One thing differs from PyTorch, in training only: the plain Keras BatchNormalization averages the
biased variance of the batches into the moving variance, PyTorch the unbiased one. That is
n / (n - 1) times as great, n being the values of a channel in a batch: with 64 images of 64×64 at
least 256, which makes 0.4 %.
"""

import math
from collections.abc import Callable

from keras import DTypePolicy, KerasTensor, dtype_policies, initializers, layers, ops

from models.configs import FishNetConfig


class Blocks:
    """The parts of one network, as functions of features (N, h, w, c)."""

    def __init__(
        self,
        config: FishNetConfig,
        dtype: str | DTypePolicy | None,
        batch_norm: Callable[..., layers.Layer],
    ) -> None:
        self.config = config
        self.policy = dtype_policies.get(dtype)
        self.batch_norm = batch_norm

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
        layer = self.batch_norm(momentum=0.9, epsilon=1e-5, dtype=self.policy, name=name)
        return self.relu(layer(x), f"{name}_relu")

    def relu(self, x: KerasTensor, name: str) -> KerasTensor:
        """ReLU."""
        return layers.ReLU(dtype=self.policy, name=name)(x)

    def pad(self, x: KerasTensor, name: str) -> KerasTensor:
        """A border of one zero on each side."""
        return layers.ZeroPadding2D(1, dtype=self.policy, name=name)(x)

    def halve(self, x: KerasTensor, name: str) -> KerasTensor:
        """Maximum over each 2×2: half the resolution."""
        return layers.MaxPooling2D(2, dtype=self.policy, name=name)(x)

    def global_average(self, x: KerasTensor, name: str) -> KerasTensor:
        """Mean over the image: (N, h, w, c) → (N, 1, 1, c)."""
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
