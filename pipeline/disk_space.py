"""How much of the disk a local run will need, estimated before it begins.

The factors were measured (docs/operate.md) and are on the generous side. Nothing of TensorFlow is
imported here.
"""

import dataclasses
import itertools
import shutil
from collections.abc import Collection
from pathlib import Path

from cli.disk import folder_bytes
from dataset.folder import Dataset
from models.configs import approximate_weights, scaled
from pipeline.config import Config
from pipeline.run_record import ARTIFACTS

CLASSES = 200  # other numbers change little
FLOAT = 4  # bytes
SLOTS = {"sgd": 1, "adamw": 2}  # of the optimizer, as large as the weights each

# While records are mixed there are two copies of the data set.
IMPORTED = 2.1
# Copies of the weights: of a model that is exported, model.keras beside it; of a version and the
# artifact that says so; checkpoints, two that are kept and one that is being written.
EXPORTED, PUSHED, CHECKPOINTS = 4, 4, 3
# What stays of the data when a node is done: half of what was needed to mix them, a third of floats
# that compress well.
DONE = 0.3
OTHERS = 50e6  # logs, record, statistics, graphs, curves, evaluation

MEGABYTE, GIGABYTE = 1e6, 1e9


class DiskSpaceError(Exception):
    """There is less of the disk than a run will need; the message says what to do."""


@dataclasses.dataclass(frozen=True)
class DiskSpace:
    """What a run will need, and what there is.

    Attributes:
      output: The run's output folder.
      needed: Node → bytes that it will write; none where earlier runs left that of it.
      left: Bytes that they left of these nodes.
      free: Bytes.
    """

    output: Path
    needed: dict[str, float]
    left: float
    free: float

    @property
    def total(self) -> float:
        """Bytes that the run will need."""
        return sum(self.needed.values()) + OTHERS

    def described(self) -> str:
        """The estimate in a line."""
        less = f", beside {_told(self.left)} of earlier runs" if self.left else ""
        return f"needs about {_told(self.total)}{less}; {_told(self.free)} are free"

    def check(self) -> None:
        """Raises DiskSpaceError if there is too little."""
        if self.total <= self.free:
            return
        greatest = max(self.needed, key=lambda node: self.needed[node], default="")
        most = f", most of it {greatest} ({_told(self.needed[greatest])})" if greatest else ""
        raise DiskSpaceError(
            f"{self.output}: the run needs about {_told(self.total)}{most}, and "
            f"{_told(self.free)} are free. Make room, `python -m pipeline.output clean --output "
            f"{self.output}` say, or give an --output on another disk"
        )


def disk_space(
    config: Config, dataset: Dataset | None, nodes: Collection[str], output: Path
) -> DiskSpace:
    """Estimates what a run will need.

    What earlier runs left of a node will be found cached, mostly, and is not counted again, so that
    an interrupted run may go on. If the data are others now, more is needed than is said.

    Args:
      config: The run's.
      dataset: None if it is yet to be written, which only small ones are.
      nodes: Those that will run.
      output: The output folder, which need not be there yet.
    """
    needed, left = {}, 0.0
    for node, size in _sizes(config, dataset).items():
        if node in nodes:
            there = folder_bytes(output / ARTIFACTS / node)
            needed[node] = 0.0 if there >= DONE * size else size - there
            left += there
    place = next(folder for folder in (output, *output.resolve().parents) if folder.is_dir())
    return DiskSpace(output, needed, left, shutil.disk_usage(place).free)


def _sizes(config: Config, dataset: Dataset | None) -> dict[str, float]:
    """Node → bytes that it writes when nothing is cached; the Tuner's trials write no weights."""
    shards = [path for paths in dataset.shards.values() for path in paths] if dataset else []
    records = sum(dataset.records.values()) if dataset else 0
    weights = _weights(config) * FLOAT
    copies = 1 + SLOTS[config.trainer.optimizer] + bool(config.trainer.average)
    sizes = {
        "ImportExampleGen": IMPORTED * sum(path.stat().st_size for path in shards),
        "Trainer": (CHECKPOINTS * copies + EXPORTED) * weights,
        "Pusher": PUSHED * weights,
    }
    if config.transform.materialize:
        sizes["Transform"] = records * config.image.height * config.image.width * 3 * FLOAT
    return sizes


def _weights(config: Config) -> float:
    """How many the network has that is trained; with a Tuner the largest one that it may choose."""
    space = config.tuner.space if config.tuner.enable else {}
    limit = config.tuner.max_parameters if config.tuner.enable else 0
    choices = itertools.product(
        *(
            space.get(f"model.{field}", (getattr(config.model, field),))
            for field in ("name", "width", "depth")
        )
    )
    most = max(approximate_weights(scaled(*choice), CLASSES) for choice in choices)
    return min(most, limit or most)


def _told(size: float) -> str:
    """A size for people."""
    return f"{size / GIGABYTE:.1f} GB" if size >= GIGABYTE else f"{size / MEGABYTE:.0f} MB"
