"""FishNet (Sun et al., NeurIPS 2018, https://arxiv.org/abs/1901.03495): backbone and classifier.

The network has the shape of a fish. Each stage of the tail halves the resolution; the bridge gates
the deepest feature; each stage of the body doubles the resolution and is concatenated with the
tail's feature of that resolution; each stage of the head halves it and is concatenated with the
body's.

Features are counted from the stem: feature 0 is the stem's output, feature i + 1 that of stage i.
The layer that gives feature i is named `feature_<i>`.
"""

from collections.abc import Callable, Sequence

from keras import DTypePolicy, Input, Model, layers

from models.blocks import Blocks
from models.configs import FishNetConfig, legal_sides, resolve, stem_stride


def build(
    config: str | FishNetConfig,
    num_classes: int,
    input_shape: Sequence[int] = (224, 224, 3),
    stem: str = "published",
    dtype: str | DTypePolicy | None = None,
    name: str | None = None,
    batch_norm: Callable[..., layers.Layer] = layers.BatchNormalization,
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
        batch_norm: Keras's BatchNormalization, or what makes layers with the same arguments and
            weights.

    Returns:
        A functional model. Its output has not been through a softmax.

    Raises:
        ValueError: If an argument is none of these. For `input_shape` the message names the nearest
            legal sides.
    """
    if num_classes < 1:
        raise ValueError(f"`num_classes` must be positive. Received: num_classes={num_classes}")
    backbone = build_backbone(config, input_shape, stem, dtype, name, batch_norm)
    blocks = Blocks(resolve(config), dtype, batch_norm)
    logits = blocks.classifier(backbone.outputs[-1], num_classes)
    return Model(backbone.input, logits, name=backbone.name)


def build_backbone(
    config: str | FishNetConfig,
    input_shape: Sequence[int] = (224, 224, 3),
    stem: str = "published",
    dtype: str | DTypePolicy | None = None,
    name: str | None = None,
    batch_norm: Callable[..., layers.Layer] = layers.BatchNormalization,
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
        batch_norm: Keras's BatchNormalization, or what makes layers with the same arguments and
            weights.

    Returns:
        A functional model: normalised images (N, H, W, 3) → list of features, each (N, h, w, c).

    Raises:
        ValueError: As in `build`.
    """
    name = name or (config if isinstance(config, str) else "fishnet")
    config = resolve(config)
    _check_input(input_shape, config, stem)
    blocks = Blocks(config, dtype, batch_norm)
    images = Input(input_shape, dtype=blocks.policy.variable_dtype, name="images")
    features = [blocks.stem(images, strides=stem_stride(stem) // 2)]
    for stage in config.tail:
        features.append(blocks.tail_stage(stage, features[-1]))
    features.append(blocks.bridge(features[-1]))
    for stage in config.body:
        source = features[config.transfer_sources[stage]]
        features.append(blocks.body_stage(stage, features[-1], source))
    for stage in config.head:
        source = features[config.transfer_sources[stage]]
        features.append(blocks.head_stage(stage, features[-1], source))
    return Model(images, features, name=name)


def classifier(model: Model) -> layers.Layer:
    """The layer of a model of `build` that makes the logits; all others know of no classes."""
    return model.layers[-2]  # its last one flattens them


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
