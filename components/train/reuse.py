"""The trained network for reuse: `model.keras`, beside what is served.

It is not in the served folder, which is copied to servers: they have no use for it, and it is as
large again. It is in the same artifact, so whoever has a blessed model has the file too.
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import tensorflow_transform as tft

from components.train.storage import write_file
from components.transform.moments import pixel_moments
from models import keras_file

MODEL_FILE = "model.keras"


def model_file(serving_model_dir: str) -> str:
    """Where the network is that was exported to this folder of the Trainer's `model`."""
    return f"{serving_model_dir.rstrip('/').rpartition('/')[0]}/{MODEL_FILE}"


def write_model(
    model: keras.Model,
    model_config: dict[str, Any],
    transform_output: tft.TFTransformOutput,
    class_names: Sequence[str],
    serving_model_dir: str,
) -> None:
    """Writes `model` to `model_file(serving_model_dir)`, whole or not at all.

    Args:
      model: In float32, with Keras's own layers alone.
      model_config: The config's `model` section.
      transform_output: Transform's output.
      class_names: In label order.
      serving_model_dir: Of the export.
    """
    mean, stddev = pixel_moments(transform_output.transform_features_layer())
    about = keras_file.About(
        network=model_config["name"],
        stem=model_config["stem"],
        class_names=list(class_names),
        pixel_mean=mean.tolist(),
        pixel_stddev=stddev.tolist(),
        width=model_config["width"],
        depth=model_config["depth"],
    )
    with tempfile.TemporaryDirectory() as folder:
        local = Path(folder) / MODEL_FILE
        keras_file.write(model, about, local)
        write_file(model_file(serving_model_dir), local.read_bytes())
