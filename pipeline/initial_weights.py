"""What `model.weights` names, as far as the command line and the DAG have to know it.

Nothing of TensorFlow is imported here.
"""

import hashlib
from pathlib import Path, PurePath

from pipeline.config import Config
from pipeline.target import Target
from pipeline.training_config import LAST_BLESSED

PYTORCH = (".tar", ".pth")  # read by PyTorch alone, which the image has not
SUFFIXES = (".keras", ".npz", *PYTORCH)


def check(config: Config, target: Target) -> None:
    """Refuses a start that no run on `target` can make.

    Raises:
      ValueError: It says why, and what to do.
    """
    weights, trainer = config.model.weights, config.trainer
    if weights is None:
        if trainer.freeze_backbone or trainer.backbone_rate < 1:
            raise ValueError(
                "trainer.freeze_backbone and trainer.backbone_rate are for weights that have been "
                "trained: give --model.weights FILE (model.keras of an earlier run, or published "
                "weights) or --model.weights champion, or take the default values of both"
            )
    elif weights == LAST_BLESSED:
        if target is Target.KFP:
            raise ValueError(
                "--model.weights champion: not on Kubeflow, which keeps no record of what was "
                "blessed; give the URI of the model.keras in the Trainer's output `model`"
            )
    elif PurePath(weights).suffix not in SUFFIXES:
        raise ValueError(
            f"--model.weights {weights}: must end in {', '.join(SUFFIXES)}, or be {LAST_BLESSED}"
        )
    elif target is not Target.LOCAL and PurePath(weights).suffix in PYTORCH:
        raise ValueError(
            f"--model.weights {weights}: the image has no PyTorch to read it; where there is one, "
            "make an .npz of it: docs/models.md has the command"
        )
    described(weights, target)


def described(weights: str | None, target: Target) -> dict[str, str | bool]:
    """What the Trainer is told of it: `file`, its `sha256`, and whether it is the `champion`.

    The digest has a changed file make TFX train anew. On a cluster it is empty: the file is
    somewhere that this machine may not see.

    Raises:
      ValueError: A local run cannot read the file.
    """
    if weights is None or weights == LAST_BLESSED:
        return {"file": "", "sha256": "", "champion": weights == LAST_BLESSED}
    digest = _digest(weights) if target is Target.LOCAL else ""
    return {"file": weights, "sha256": digest, "champion": False}


def _digest(file: str) -> str:
    digest = hashlib.sha256()
    try:
        with Path(file).open("rb") as stream:
            while chunk := stream.read(1 << 20):
                digest.update(chunk)
    except OSError as error:
        raise ValueError(f"--model.weights {file}: cannot be read ({error.strerror})") from error
    return digest.hexdigest()
