"""The weights that a training starts from: those in a file, or the last blessed model's."""

import dataclasses
import hashlib
import logging
import tempfile
from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import Any

import keras
from tfx.dsl.io import fileio

from components.train.reuse import model_file
from components.train.storage import read_file
from models import fishnet, keras_file, torch_checkpoint

SHOWN = 3  # entries that an error lists

logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class InitialWeights:
    """A network's weights.

    Attributes:
      file: Where they are from.
      sha256: Of the file's content.
      state: The weights under the published keys.
      about: What the network was trained for; None of a file of PyTorch's, which does not say.
    """

    file: str
    sha256: str
    state: torch_checkpoint.State
    about: keras_file.About | None

    def check(self, model: keras.Model, model_config: dict[str, Any]) -> None:
        """Refuses weights of another network than `model`; their classifier may be another.

        Args:
          model: As `model_config` describes it.
          model_config: The config's `model` section.

        Raises:
          ValueError: It says what differs, and what to do.
        """
        if about := self.about:
            theirs: dict[str, Any] = {"name": about.network, "stem": about.stem}
            theirs |= {"width": about.width, "depth": about.depth}
            ours = {field: model_config[field] for field in theirs}
            other = {field: value for field, value in theirs.items() if value != ours[field]}
            if other:
                raise ValueError(
                    f"{self.file}: holds {_told(theirs)}; this training is of {_told(ours)}. Give "
                    + " ".join(f"--model.{field} {value}" for field, value in other.items())
                    + ", or other weights"
                )
        classifier = _classifier_keys(model)
        faults = torch_checkpoint.mismatches(
            _without(torch_checkpoint.state_shapes(model), classifier),
            _without(self.state, classifier),
        )
        if faults:
            more = f"\n  and {len(faults) - SHOWN} more" if len(faults) > SHOWN else ""
            raise ValueError(
                f"{self.file}: does not hold the weights of {model_config['name']}; give the "
                "--model.name that they are of:\n  " + "\n  ".join(faults[:SHOWN]) + more
            )

    def assign(self, model: keras.Model, class_names: Sequence[str]) -> None:
        """Gives them to `model`, whose classifier stays as it is if it is for other classes.

        Where the file does not name its classes, as many are the same.

        Args:
          model: One that `check` has passed.
          class_names: In the order of its logits.
        """
        classifier = _classifier_keys(model)
        shapes = torch_checkpoint.state_shapes(model)
        same = all(
            key in self.state and self.state[key].shape == shapes[key] for key in classifier
        ) and (self.about is None or self.about.class_names == list(class_names))
        state = self.state if same else _without(self.state, classifier)
        torch_checkpoint.assign(model, state)
        classes = "the same classes" if same else "its classifier is made anew for these classes"
        logger.info(f"starts from {self.file}, {classes}")


def read(weights: dict[str, Any], base_model: str | None) -> InitialWeights | None:
    """Reads what the Trainer's `custom_config` has under `weights`.

    Args:
      weights: `file`, a path or URI, empty if there is none; its `sha256`, empty if that is not
        known; `champion`, whether the last blessed model is wanted.
      base_model: The exported folder of the last blessed model, if there is one.

    Returns:
      None if the training begins with random weights; if no champion is there, that is logged.

    Raises:
      ImportError: It takes PyTorch to read the file.
      ValueError: The file is not there, has changed, or is damaged; the message names it.
    """
    file = weights["file"]
    if weights["champion"]:
        if not base_model:
            logger.info("starts from random weights: no model has been blessed yet")
            return None
        file = model_file(base_model)
        if not fileio.exists(file):
            logger.warning(
                f"starts from random weights: the last blessed model is gone, or of an earlier "
                f"version of this pipeline: there is no {file}"
            )
            return None
    if not file:
        return None
    if not fileio.exists(file):
        raise ValueError(f"{file}: no such file, from which training was to start")
    content = read_file(file)
    sha256 = hashlib.sha256(content).hexdigest()
    if weights["sha256"] not in ("", sha256):
        raise ValueError(f"{file}: has changed since this run began; give the same command again")
    return InitialWeights(file, sha256, *_parse(file, content))


def require_trained_backbone(hparams: dict[str, Any], initial: InitialWeights | None) -> None:
    """Refuses to spare a backbone that has random weights.

    Args:
      hparams: The config's `trainer` section.
      initial: What the training starts from.

    Raises:
      ValueError: It says what to do.
    """
    if initial is None and (hparams["freeze_backbone"] or hparams["backbone_rate"] < 1):
        raise ValueError(
            "trainer.freeze_backbone and trainer.backbone_rate are for a backbone that has been "
            "trained, and there are no weights to start from (--model.weights champion: no blessed "
            "model). Give --model.weights FILE, or train a first model with "
            "--trainer.backbone_rate 1 --trainer.freeze_backbone False"
        )


def freeze_backbone(model: keras.Model) -> None:
    """Has training change the classifier alone; batch normalisation keeps its moments."""
    for layer in model.layers:
        layer.trainable = layer is fishnet.classifier(model)


def _parse(file: str, content: bytes) -> tuple[torch_checkpoint.State, keras_file.About | None]:
    """The weights in a file, and what it says of them. Keras and PyTorch read from a disk."""
    with tempfile.TemporaryDirectory() as folder:
        local = Path(folder) / PurePath(file).name
        local.write_bytes(content)
        try:
            if local.suffix != ".keras":
                return torch_checkpoint.read(local), None
            about = keras_file.read_about(local)
            return torch_checkpoint.state(keras.models.load_model(local, compile=False)), about
        except ImportError:
            raise
        except Exception as error:  # whatever Keras stumbles over in a damaged file
            raise ValueError(f"{file}: cannot be read as weights: {error}") from error


def _classifier_keys(model: keras.Model) -> list[str]:
    own = {id(variable) for variable in fishnet.classifier(model).weights}
    variables = torch_checkpoint.variables(model)
    return [key for key, variable in variables.items() if id(variable) in own]


def _without(entries: dict[str, Any], keys: Sequence[str]) -> dict[str, Any]:
    return {key: value for key, value in entries.items() if key not in keys}


def _told(network: dict[str, Any]) -> str:
    size = f"width {network['width']:g}, depth {network['depth']:g}"
    return f"{network['name']} with the stem {network['stem']}, {size}"
