"""What the training of a local run will start from, looked at before hours of other work."""

import dataclasses
from pathlib import Path

from tfx.utils import path_utils

from components.train import initial_weights
from models import fishnet
from models.configs import scaled
from pipeline.config import Config
from pipeline.history import History
from pipeline.initial_weights import described
from pipeline.run_record import has_record
from pipeline.target import Target


def check_weights(config: Config, output: Path) -> None:
    """Refuses weights, or the lack of them, that the Trainer would refuse.

    Args:
      config: The run's.
      output: The output folder, which need not have had a run.

    Raises:
      ImportError: As `initial_weights.read` has it.
      RecordError: There is a record of earlier runs, which cannot be read.
      ValueError: As `initial_weights` has it.
    """
    given = described(config.model.weights, Target.LOCAL)
    champion = _champion(output) if given["champion"] else None
    initial = initial_weights.read(given, champion) if given["file"] or champion else None
    initial_weights.require_trained_backbone(dataclasses.asdict(config.trainer), initial)
    if initial:
        model, image = dataclasses.asdict(config.model), config.image
        shape = (image.height, image.width, 3)
        network = scaled(model["name"], model["width"], model["depth"])
        initial.check(fishnet.build(network, 1, shape, model["stem"]), model)


def _champion(output: Path) -> str | None:
    """The exported folder of the last blessed model, if there is one."""
    champion = History(output).champion() if has_record(output) else None
    return path_utils.serving_model_dir(champion.uri) if champion else None
