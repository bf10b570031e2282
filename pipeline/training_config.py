"""The sections of the config that say what is trained, and how."""

import dataclasses
import math
from typing import Any, Literal

from components.train.run_parameters import check_run_parameters
from pipeline.config_rules import require, require_network, require_numbers, require_width

LAST_BLESSED = "champion"  # the last blessed model, in place of a file of weights
# No network is that deep; far beyond it the first node to build one would never end.
MOST_DEPTH = 32
DEPTHS = f"positive, at most {MOST_DEPTH}"


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """The network."""

    name: str = "fishnet_simple"
    """A network of the table in models/configs.py."""
    stem: Literal["published", "small"] = "published"
    """"published" reduces the image by 4 before the first stage; "small" by 2."""
    width: float = 1.0
    """Factor of all channels: a multiple of 0.25 for the published networks, of 0.5 for those of
    the Tiny ImageNet study, of 1 for fishnet_tiny."""
    depth: float = 1.0
    """Factor of the blocks of each stage, rounded; one stays at least. At most 32."""
    weights: str | None = None
    """What training starts from: a model.keras that this pipeline wrote, a file of the published
    PyTorch networks (.tar, .pth, .npz), or "champion", the last blessed model. Without it, from
    random weights."""

    def __post_init__(self) -> None:
        require_numbers("model", vars(self))
        require_network("model.name", self.name)
        require_width("model.width", self.width, self.name)
        require(0 < self.depth <= MOST_DEPTH, "model.depth", DEPTHS, self.depth)
        require(self.weights != "", "model.weights", "a file, or left out", self.weights)


@dataclasses.dataclass(frozen=True)
class TunerConfig:
    """Search for hyperparameters, which the Trainer of the same run then takes.

    Each list holds the values to choose from, in place of the one that the config has for it; with
    an empty list that one stays.
    """

    enable: bool = False
    """Whether there is a search."""
    search: Literal["grid", "random", "bayesian"] = "grid"
    """"grid" tries every combination; "random" some; "bayesian", too, and after three for each list
    it goes by what the earlier ones reached."""
    trials: int = 20
    """Combinations that are tried at most, those that a limit excludes included."""
    epochs: int = 5
    """Passes over the training split in each trial; the warm-up is shortened in proportion."""
    networks: tuple[str, ...] = ()
    """For model.name."""
    widths: tuple[float, ...] = ()
    """For model.width."""
    depths: tuple[float, ...] = ()
    """For model.depth."""
    learning_rates: tuple[float, ...] = (0.05, 0.1, 0.2)
    """For trainer.learning_rate."""
    weight_decays: tuple[float, ...] = (1e-4, 5e-4, 2e-3)
    """For trainer.weight_decay."""
    max_parameters: int = 0
    """A network with more weights is not trained. 0: no limit."""
    max_latency_ms: float = 0.0
    """A network that takes longer for one image, in the median, in float32 on this machine's CPU,
    is not trained. Milliseconds; 0: no limit."""

    def __post_init__(self) -> None:
        require_numbers("tuner", vars(self))
        for field in ("trials", "epochs"):
            require(getattr(self, field) > 0, f"tuner.{field}", "positive", getattr(self, field))
        for field in ("max_parameters", "max_latency_ms"):
            limit = getattr(self, field)
            require(limit >= 0, f"tuner.{field}", "0 or more", limit)
        for name in self.networks:
            require_network("tuner.networks", name)
        for value in self.depths:
            require(0 < value <= MOST_DEPTH, "tuner.depths", DEPTHS, value)
        for field in ("widths", "learning_rates"):
            for value in getattr(self, field):
                require(0 < value < math.inf, f"tuner.{field}", "positive numbers", value)
        for value in self.weight_decays:
            require(0 <= value < math.inf, "tuner.weight_decays", "numbers from 0 on", value)
        for field, values in vars(self).items():
            if isinstance(values, tuple):
                once = len(set(values)) == len(values)
                require(once, f"tuner.{field}", "values that differ", values)

    @property
    def space(self) -> dict[str, tuple[Any, ...]]:
        """What there is to choose from, by the field that it is for."""
        values = {
            "model.name": self.networks,
            "model.width": self.widths,
            "model.depth": self.depths,
            "trainer.learning_rate": self.learning_rates,
            "trainer.weight_decay": self.weight_decays,
        }
        return {field: found for field, found in values.items() if found}


@dataclasses.dataclass(frozen=True)
class TrainerConfig:
    """Training: an optimizer whose learning rate has a warm-up and then a schedule."""

    epochs: int = 60
    """Passes over the training split."""
    batch_size: int = 64
    """Examples a step, over all GPUs together."""
    optimizer: Literal["sgd", "adamw"] = "sgd"
    """"sgd" has Nesterov momentum. "adamw" wants a learning rate near 1e-3 and a weight decay near
    0.05."""
    learning_rate: float = 0.1
    """Peak, reached at the end of the warm-up."""
    warmup_epochs: float = 5.0
    """Epochs over which the learning rate rises from 0; at most all of them."""
    schedule: Literal["cosine", "constant"] = "cosine"
    """What the learning rate does after the warm-up: fall to 0 along half a cosine, or stay."""
    momentum: float = 0.9
    """Nesterov momentum, of sgd."""
    weight_decay: float = 5e-4
    """Of kernels, not of biases and batch normalisation; counted as in PyTorch and most papers.
    With sgd Keras is given weight_decay / (1 - momentum), ten times as much by default, since it
    decays past the momentum."""
    clip_norm: float = 0.0
    """Gradients with a greater norm, over all weights and all GPUs together, are scaled down to it.
    0: none are."""
    label_smoothing: float = 0.1
    """Share of the target spread evenly over all classes."""
    average: float = 0.0
    """Decay a step of a moving average of the weights and of batch normalisation's moments, which
    is then what is evaluated and exported; 0.999, say. 0: no average."""
    class_balance: float = 0.0
    """Weight of an example in the loss: its class's number of examples to the power of minus this.
    0: each example counts the same; 1: each class."""
    backbone_rate: float = 1.0
    """Share of the learning rate for all but the classifier, with `--model.weights`: above 0, at
    most 1."""
    freeze_backbone: bool = False
    """Train the classifier alone, with `--model.weights`; all else stays as it is there, the
    moments of batch normalisation too."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Of the arithmetic in training; weights are float32 always. "auto" is bfloat16 where that is
    faster: a GPU of compute capability 8.0, a CPU with AMX or AVX-512-BF16."""
    synchronized_batch_norm: bool = False
    """With several GPUs, whether batch normalisation takes the moments over the whole batch, which
    is slower, or over each GPU's part."""
    shuffle_mb: int = 256
    """Memory of the buffer that examples are drawn from at random, 10⁶ bytes. ImportExampleGen has
    mixed them already; the buffer gives each epoch another order."""
    seed: int = 1
    """Of the initial weights, the order and the augmentation: from 0 to 2^32 - 1."""

    def __post_init__(self) -> None:
        require_numbers("trainer", vars(self))
        check_run_parameters(self.epochs, self.learning_rate)
        require(self.batch_size > 0, "trainer.batch_size", "positive", self.batch_size)
        require(self.warmup_epochs >= 0, "trainer.warmup_epochs", "0 or more", self.warmup_epochs)
        require(0 <= self.momentum < 1, "trainer.momentum", "in [0, 1)", self.momentum)
        require(self.weight_decay >= 0, "trainer.weight_decay", "0 or more", self.weight_decay)
        require(
            0 <= self.label_smoothing < 1,
            "trainer.label_smoothing",
            "in [0, 1)",
            self.label_smoothing,
        )
        require(self.clip_norm >= 0, "trainer.clip_norm", "0 or more", self.clip_norm)
        require(0 <= self.average < 1, "trainer.average", "in [0, 1)", self.average)
        balance = self.class_balance
        require(0 <= balance <= 1, "trainer.class_balance", "in 0..1", balance)
        share = "above 0, at most 1"
        require(0 < self.backbone_rate <= 1, "trainer.backbone_rate", share, self.backbone_rate)
        require(self.shuffle_mb > 0, "trainer.shuffle_mb", "positive", self.shuffle_mb)
        require(0 <= self.seed < 2**32, "trainer.seed", "in 0..2^32 - 1", self.seed)  # NumPy's


@dataclasses.dataclass(frozen=True)
class AugmentConfig:
    """How training images are changed at random, anew in each epoch."""

    flip: bool = True
    """Mirror half of the images left to right."""
    shift: int = 4
    """Move each image by up to this many pixels in each direction; less than its sides."""
    min_area: float = 1.0
    """Take a part of each image, of at least this share of its area and of an aspect ratio between
    3:4 and 4:3 of the network's, before it is resized; 0.25, say. 1: what evaluation takes."""
    trivial: bool = False
    """TrivialAugment: one change of each image's geometry or colours, random in kind and size."""
    erase: float = 0.0
    """Share of the images in which a rectangle, of 2 % to 33 % of the area, becomes mean grey."""
    mixup: float = 0.0
    """Blend images and labels in pairs, by shares of the distribution Beta(mixup, mixup); 0.2, say.
    0: never."""
    cutmix: float = 0.0
    """Put a part of another image, whose area is a share of Beta(cutmix, cutmix), into each, and
    its label in this share; 1, say. 0: never. With `mixup` each image has the one or the other."""
    unmixed_epochs: int = 0
    """The last epochs of the training, without `mixup` and `cutmix`."""

    def __post_init__(self) -> None:
        require_numbers("augment", vars(self))
        for field in ("shift", "mixup", "cutmix", "unmixed_epochs"):
            value = getattr(self, field)
            require(value >= 0, f"augment.{field}", "0 or more", value)
        require(0 < self.min_area <= 1, "augment.min_area", "in (0, 1]", self.min_area)
        require(0 <= self.erase <= 1, "augment.erase", "in 0..1", self.erase)
