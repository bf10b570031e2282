"""Every number a user may change, with its unit: one frozen tree of dataclasses.

The command line sets any field by `--section.field VALUE`. Nothing of TensorFlow is imported here.
"""

import dataclasses
import math
from typing import Any, Literal

import tyro

from cli.beam_runners import Runner
from dataset import record
from models import configs as networks

# The DAG's nodes in the order in which a local run takes them.
NODES = (
    "CuratedSchema",
    "ImportExampleGen",
    "DataGate",
    "StatisticsGen",
    "DistributionValidator",
    "ExampleValidator",
    "AnomalyGate",
    "Transform",
    "Trainer",
    "Champion",
    "Evaluator",
    "ServingGate",
    "Pusher",
)
TUNER = "Tuner"  # comes before the Trainer where it is enabled

# What these refuse they would refuse again.
JUDGES = ("DataGate", "AnomalyGate", "Champion")

# These judge, or look at folders that TFX's cache knows nothing of: the data's, the served models'.
NEVER_CACHED = ("FolderFingerprint", "DataGate", "AnomalyGate", "Champion", "Pusher")


def _require(valid: bool, field: str, rule: str, received: object) -> None:
    if not valid:
        raise ValueError(f"`{field}` must be {rule}. Received: {received!r}")


def _require_numbers(section: str, fields: dict[str, object]) -> None:
    """Numbers that JSON and protobuf carry: nan passes most comparisons, and inf half of them."""
    for name, value in fields.items():
        if isinstance(value, int | float):
            fits = math.isfinite(value) and abs(value) < 2**63
            _require(fits, f"{section}.{name}", "a finite number of 64 bits", value)


def _require_network(field: str, name: str) -> None:
    _require(name in networks.CONFIGS, field, f"one of {', '.join(networks.CONFIGS)}", name)


def _require_width(field: str, width: float, network: str) -> None:
    step = networks.width_step(network)
    fits = width > 0 and (width / step).is_integer()
    _require(fits, field, f"a positive multiple of {step:g}, with {network}", width)


@dataclasses.dataclass(frozen=True)
class DataConfig:
    """What is known of the data set beforehand, and when it is refused."""

    class_names: tuple[str, ...] = ()
    """Class names in label order. Without them `labels.txt` beside the shards is read; without that
    file a class is named by its synset."""
    synsets: tuple[str, ...] = ()
    """The classes' keys in label order, as records have them. Without them the manifest is read."""
    min_side: int = record.MIN_SIDE
    """Pixels; an image with a shorter side is a bad record."""
    max_pixels: int = record.MAX_PIXELS
    """Width × height; a larger image is a bad record, and is not decoded."""
    file_mb: int = 128
    """Size of the files that ImportExampleGen writes, 10⁶ bytes. A worker needs about twice as much
    memory."""
    max_bad_share: float = 0.001
    """Bad records are set aside; more than this share of all, or of one class, stops the run."""
    require_all_classes: bool = True
    """Whether a class without training or without validation records stops the run."""
    refuse_anomalies: bool = True
    """Whether what ExampleValidator finds, and skew between the splits, stops the run."""
    max_skew: float = 0.2
    """How much the splits may differ in class shares, image formats and colour spaces:
    Jensen-Shannon divergence, 0 (the same) to 1."""

    def __post_init__(self) -> None:
        _require_numbers("data", vars(self))
        _require(self.min_side > 0, "data.min_side", "positive", self.min_side)
        _require(self.max_pixels > 0, "data.max_pixels", "positive", self.max_pixels)
        _require(self.file_mb > 0, "data.file_mb", "positive", self.file_mb)
        agree = not self.class_names or len(self.synsets) in (0, len(self.class_names))
        rule = f"as many as data.class_names, {len(self.class_names)}"
        _require(agree, "data.synsets", rule, len(self.synsets))
        for field in ("max_bad_share", "max_skew"):
            value = getattr(self, field)
            _require(0 <= value <= 1, f"data.{field}", "in 0..1", value)


@dataclasses.dataclass(frozen=True)
class ImageConfig:
    """What Transform makes of an image."""

    height: int = 64
    """Pixels after resizing."""
    width: int = 64
    """Pixels after resizing."""

    def __post_init__(self) -> None:
        _require(self.height > 0, "image.height", "positive", self.height)
        _require(self.width > 0, "image.width", "positive", self.width)


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
    """Factor of the blocks of each stage, rounded; one stays at least."""
    weights: str | None = None
    """What training starts from: a model.keras that this pipeline wrote, a file of the published
    PyTorch networks (.tar, .pth, .npz), or "champion", the last blessed model. Without it, from
    random weights."""

    def __post_init__(self) -> None:
        _require_numbers("model", vars(self))
        _require_network("model.name", self.name)
        _require_width("model.width", self.width, self.name)
        _require(self.depth > 0, "model.depth", "positive", self.depth)
        _require(self.weights != "", "model.weights", "a file, or left out", self.weights)


@dataclasses.dataclass(frozen=True)
class TransformConfig:
    """Transform."""

    materialize: bool = False
    """Write the transformed images to disk as float32. They take some 20 times the JPEG's space;
    without it every epoch decodes anew."""


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
        _require_numbers("tuner", vars(self))
        for field in ("trials", "epochs"):
            _require(getattr(self, field) > 0, f"tuner.{field}", "positive", getattr(self, field))
        for field in ("max_parameters", "max_latency_ms"):
            limit = getattr(self, field)
            _require(limit >= 0, f"tuner.{field}", "0 or more", limit)
        for name in self.networks:
            _require_network("tuner.networks", name)
        for field in ("widths", "depths", "learning_rates"):
            for value in getattr(self, field):
                _require(0 < value < math.inf, f"tuner.{field}", "positive numbers", value)
        for value in self.weight_decays:
            _require(0 <= value < math.inf, "tuner.weight_decays", "numbers from 0 on", value)
        for field, values in vars(self).items():
            if isinstance(values, tuple):
                once = len(set(values)) == len(values)
                _require(once, f"tuner.{field}", "values that differ", values)

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
    """Training: an optimizer whose learning rate has a warm-up and then a cosine to zero."""

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
    momentum: float = 0.9
    """Nesterov momentum, of sgd."""
    weight_decay: float = 5e-4
    """Of kernels, not of biases and batch normalisation; counted as in PyTorch and most papers.
    With sgd Keras is given weight_decay / (1 - momentum), ten times as much by default, since it
    decays past the momentum."""
    clip_norm: float = 0.0
    """Gradients with a greater norm, over all weights, are scaled down to it. 0: none are."""
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
    """Of the initial weights, the order and the augmentation."""

    def __post_init__(self) -> None:
        _require_numbers("trainer", vars(self))
        _require(self.epochs > 0, "trainer.epochs", "positive", self.epochs)
        _require(self.batch_size > 0, "trainer.batch_size", "positive", self.batch_size)
        _require(self.learning_rate > 0, "trainer.learning_rate", "positive", self.learning_rate)
        _require(self.warmup_epochs >= 0, "trainer.warmup_epochs", "0 or more", self.warmup_epochs)
        _require(0 <= self.momentum < 1, "trainer.momentum", "in [0, 1)", self.momentum)
        _require(self.weight_decay >= 0, "trainer.weight_decay", "0 or more", self.weight_decay)
        _require(
            0 <= self.label_smoothing < 1,
            "trainer.label_smoothing",
            "in [0, 1)",
            self.label_smoothing,
        )
        _require(self.clip_norm >= 0, "trainer.clip_norm", "0 or more", self.clip_norm)
        _require(0 <= self.average < 1, "trainer.average", "in [0, 1)", self.average)
        balance = self.class_balance
        _require(0 <= balance <= 1, "trainer.class_balance", "in 0..1", balance)
        share = "above 0, at most 1"
        _require(0 < self.backbone_rate <= 1, "trainer.backbone_rate", share, self.backbone_rate)
        _require(self.shuffle_mb > 0, "trainer.shuffle_mb", "positive", self.shuffle_mb)


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
        _require_numbers("augment", vars(self))
        for field in ("shift", "mixup", "cutmix", "unmixed_epochs"):
            value = getattr(self, field)
            _require(value >= 0, f"augment.{field}", "0 or more", value)
        _require(0 < self.min_area <= 1, "augment.min_area", "in (0, 1]", self.min_area)
        _require(0 <= self.erase <= 1, "augment.erase", "in 0..1", self.erase)


@dataclasses.dataclass(frozen=True)
class EvaluatorConfig:
    """What a model must reach on the validation split to be pushed."""

    min_top1: float = 0.5
    """Share of images whose class is the first answer."""
    min_top5: float = 0.0
    """Share of images whose class is among the first five answers."""
    max_loss: float = math.inf
    """Cross-entropy, nats."""
    min_top1_gain: float = 0.0
    """By how much top-1 must exceed the last blessed model's; negative allows a loss."""
    min_class_top1: float = 0.0
    """As `min_top1`, of each class alone. 0: a weak class does not block a better model."""
    reset_champion: bool = False
    """Do not compare with the last blessed model in this run; once blessed, later ones are compared
    with this run's."""

    def __post_init__(self) -> None:
        bounds = {name: value for name, value in vars(self).items() if name != "max_loss"}
        _require_numbers("evaluator", bounds)
        for field in ("min_top1", "min_top5", "min_class_top1"):
            value = getattr(self, field)
            # Above 1 is a bar that no model meets: a way to train and evaluate without pushing.
            _require(value >= 0, f"evaluator.{field}", "0 or more", value)
        _require(self.max_loss > 0, "evaluator.max_loss", "positive", self.max_loss)


@dataclasses.dataclass(frozen=True)
class ServingConfig:
    """What the exported model must keep to, on this machine's CPU, to be pushed."""

    max_load_seconds: float = 60.0
    """To load it."""
    max_median_seconds: float = 0.5
    """For a request of one image, in the median."""
    max_p99_seconds: float = 2.0
    """Likewise, 99th percentile."""
    max_answer_seconds: float = 60.0
    """For any request; after this it counts as hanging."""
    max_score_difference: float = 1e-4
    """Between its scores and those that the network gave in the Trainer. In float32 the order of
    sums alone makes 4e-5 with fishnet99, and 1e-6 with the smallest network (1e-5 after one
    epoch)."""

    def __post_init__(self) -> None:
        _require_numbers("serving", vars(self))
        for name, value in dataclasses.asdict(self).items():
            _require(value > 0, f"serving.{name}", "positive", value)


@dataclasses.dataclass(frozen=True)
class PusherConfig:
    """What is kept in the folder that TF Serving polls."""

    keep_versions: int = 5
    """The newest versions that stay; older ones are deleted after a push."""

    def __post_init__(self) -> None:
        _require_numbers("pusher", vars(self))
        # The one before the newest is served until the newest has been loaded.
        _require(self.keep_versions >= 2, "pusher.keep_versions", "2 or more", self.keep_versions)


@dataclasses.dataclass(frozen=True)
class BeamConfig:
    """How the data work (Apache Beam) is run."""

    runner: Runner = "local"
    """"local": in this process; the others on a cluster, with what docs/beam.md names."""
    args: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """Passed to Beam unchanged, e.g. `--beam.args=--region=europe-west4`; may be given again."""
    shared_folders: bool = False
    """Whether the workers of Flink or Spark see this machine's folders under the same paths, by NFS
    say."""


@dataclasses.dataclass(frozen=True)
class Config:
    """The pipeline's configuration."""

    data: DataConfig = DataConfig()
    image: ImageConfig = ImageConfig()
    model: ModelConfig = ModelConfig()
    transform: TransformConfig = TransformConfig()
    augment: AugmentConfig = AugmentConfig()
    tuner: TunerConfig = TunerConfig()
    trainer: TrainerConfig = TrainerConfig()
    evaluator: EvaluatorConfig = EvaluatorConfig()
    serving: ServingConfig = ServingConfig()
    pusher: PusherConfig = PusherConfig()
    beam: BeamConfig = BeamConfig()

    @property
    def nodes(self) -> tuple[str, ...]:
        """The DAG's nodes in the order in which a local run takes them."""
        before = NODES.index("Trainer")
        tuner = (TUNER,) if self.tuner.enable else ()
        return (*NODES[:before], *tuner, *NODES[before:])

    def __post_init__(self) -> None:
        if self.tuner.enable:
            self._check_search()
        self._check_sides(self.model.name)
        for name, side in dataclasses.asdict(self.image).items():
            shift = self.augment.shift
            _require(shift < side, "augment.shift", f"less than image.{name}, {side}", shift)
        _require(
            self.augment.min_area == 1 or not self.transform.materialize,
            "augment.min_area",
            "1 with transform.materialize, whose images have their size already",
            self.augment.min_area,
        )

    def _check_sides(self, network: str) -> None:
        for name, side in dataclasses.asdict(self.image).items():
            legal = networks.legal_sides(side, network, self.model.stem)
            rule = f"{' or '.join(map(str, legal))}, the nearest that {network} accepts"
            _require(side in legal, f"image.{name}", rule, side)

    def _check_search(self) -> None:
        space, search = self.tuner.space, self.tuner.search
        _require(bool(space), "tuner.enable", "False without anything to choose from", True)
        size = math.prod(map(len, space.values()))
        _require(
            search != "grid" or size <= self.tuner.trials,
            "tuner.trials",
            f"{size} or more, the combinations of the grid; tuner.search random tries some of them",
            self.tuner.trials,
        )
        other_networks = self.tuner.networks or self.tuner.widths or self.tuner.depths
        _require(
            self.model.weights is None or not other_networks,
            "model.weights",
            "left out where tuner.networks, tuner.widths or tuner.depths are searched",
            self.model.weights,
        )
        for network in self.tuner.networks or (self.model.name,):
            self._check_sides(network)
            for width in self.tuner.widths or (self.model.width,):
                field = "tuner.widths" if self.tuner.widths else "model.width"
                _require_width(field, width, network)
