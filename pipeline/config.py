"""Every number a user may change, with its unit: one frozen tree of dataclasses.

What is trained, and how, is in `pipeline.training_config`. The command line sets any field by
`--section.field VALUE`. Nothing of TensorFlow is imported here.
"""

import dataclasses
import math
from collections import Counter
from typing import Any

import tyro

from cli.beam_runners import Runner
from dataset import record
from models import configs as networks
from pipeline.config_rules import require, require_numbers, require_width
from pipeline.nodes import NODES, TUNER, WARM_START
from pipeline.training_config import (
    LAST_BLESSED,
    AugmentConfig,
    ModelConfig,
    TrainerConfig,
    TunerConfig,
)


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
        require_numbers("data", vars(self))
        require(self.min_side > 0, "data.min_side", "positive", self.min_side)
        require(self.max_pixels > 0, "data.max_pixels", "positive", self.max_pixels)
        require(self.file_mb > 0, "data.file_mb", "positive", self.file_mb)
        for field in ("class_names", "synsets"):
            counts = Counter(getattr(self, field))
            odd = [name for name, count in counts.items() if count > 1 or not name.strip()]
            require(not odd, f"data.{field}", "different names, none of them empty", odd)
        agree = not self.class_names or len(self.synsets) in (0, len(self.class_names))
        rule = f"as many as data.class_names, {len(self.class_names)}"
        require(agree, "data.synsets", rule, len(self.synsets))
        for field in ("max_bad_share", "max_skew"):
            value = getattr(self, field)
            require(0 <= value <= 1, f"data.{field}", "in 0..1", value)


@dataclasses.dataclass(frozen=True)
class ImageConfig:
    """What Transform makes of an image."""

    height: int = 64
    """Pixels after resizing."""
    width: int = 64
    """Pixels after resizing."""

    def __post_init__(self) -> None:
        require(self.height > 0, "image.height", "positive", self.height)
        require(self.width > 0, "image.width", "positive", self.width)


@dataclasses.dataclass(frozen=True)
class TransformConfig:
    """Transform."""

    materialize: bool = False
    """Write the transformed images to disk as float32. They take some 20 times the JPEG's space;
    without it every epoch decodes anew."""


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
        require_numbers("evaluator", bounds)
        for field in ("min_top1", "min_top5", "min_class_top1"):
            value = getattr(self, field)
            # Above 1 is a bar that no model meets: a way to train and evaluate without pushing.
            require(value >= 0, f"evaluator.{field}", "0 or more", value)
        require(self.max_loss > 0, "evaluator.max_loss", "positive", self.max_loss)


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
        require_numbers("serving", vars(self))
        for name, value in dataclasses.asdict(self).items():
            require(value > 0, f"serving.{name}", "positive", value)


@dataclasses.dataclass(frozen=True)
class PusherConfig:
    """What is kept in the folder that TF Serving polls."""

    keep_versions: int = 5
    """The newest versions that stay; older ones are deleted after a push."""

    def __post_init__(self) -> None:
        require_numbers("pusher", vars(self))
        # The one before the newest is served until the newest has been loaded.
        require(self.keep_versions >= 2, "pusher.keep_versions", "2 or more", self.keep_versions)


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

    data: DataConfig = dataclasses.field(default_factory=DataConfig)
    image: ImageConfig = dataclasses.field(default_factory=ImageConfig)
    model: ModelConfig = dataclasses.field(default_factory=ModelConfig)
    transform: TransformConfig = dataclasses.field(default_factory=TransformConfig)
    augment: AugmentConfig = dataclasses.field(default_factory=AugmentConfig)
    tuner: TunerConfig = dataclasses.field(default_factory=TunerConfig)
    trainer: TrainerConfig = dataclasses.field(default_factory=TrainerConfig)
    evaluator: EvaluatorConfig = dataclasses.field(default_factory=EvaluatorConfig)
    serving: ServingConfig = dataclasses.field(default_factory=ServingConfig)
    pusher: PusherConfig = dataclasses.field(default_factory=PusherConfig)
    beam: BeamConfig = dataclasses.field(default_factory=BeamConfig)

    @property
    def nodes(self) -> tuple[str, ...]:
        """The DAG's nodes in the order in which a local run takes them."""
        nodes = list(NODES)
        if self.tuner.enable:
            nodes.insert(nodes.index("Trainer"), TUNER)
        if self.model.weights == LAST_BLESSED:
            nodes.insert(nodes.index("DataGate"), WARM_START)
        return tuple(nodes)

    def told(self) -> dict[str, dict[str, Any]]:
        """Section → field → value, without the classes' names and synsets, which may be many."""
        sections = dataclasses.asdict(self)
        for name in ("class_names", "synsets"):
            del sections["data"][name]
        return sections

    def __post_init__(self) -> None:
        if self.tuner.enable:
            self._check_search()
        self._check_sides(self.model.name)
        for name, side in dataclasses.asdict(self.image).items():
            shift = self.augment.shift
            require(shift < side, "augment.shift", f"less than image.{name}, {side}", shift)
        require(
            self.augment.min_area == 1 or not self.transform.materialize,
            "augment.min_area",
            "1 with transform.materialize, whose images have their size already",
            self.augment.min_area,
        )

    def _check_sides(self, network: str) -> None:
        for name, side in dataclasses.asdict(self.image).items():
            legal = networks.legal_sides(side, network, self.model.stem)
            rule = f"{' or '.join(map(str, legal))}, the nearest that {network} accepts"
            require(side in legal, f"image.{name}", rule, side)

    def _check_search(self) -> None:
        space, search = self.tuner.space, self.tuner.search
        require(bool(space), "tuner.enable", "False without anything to choose from", True)
        size = math.prod(map(len, space.values()))
        require(
            search != "grid" or size <= self.tuner.trials,
            "tuner.trials",
            f"{size} or more, the combinations of the grid; tuner.search random tries some of them",
            self.tuner.trials,
        )
        other_networks = self.tuner.networks or self.tuner.widths or self.tuner.depths
        require(
            self.model.weights is None or not other_networks,
            "model.weights",
            "left out where tuner.networks, tuner.widths or tuner.depths are searched",
            self.model.weights,
        )
        for network in self.tuner.networks or (self.model.name,):
            self._check_sides(network)
            for width in self.tuner.widths or (self.model.width,):
                field = "tuner.widths" if self.tuner.widths else "model.width"
                require_width(field, width, network)
