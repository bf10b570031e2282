"""A pushed model in seconds: a network as it is before training, exported as Trainer exports it."""

import functools
import io
import tempfile
from collections.abc import Iterator
from pathlib import Path

import apache_beam as beam
import keras
import numpy as np
import tensorflow_transform as tft
import tensorflow_transform.beam as tft_beam
from PIL import Image
from tensorflow_metadata.proto.v0 import schema_pb2
from tensorflow_transform.tf_metadata.dataset_metadata import DatasetMetadata
from tfx.utils import io_utils

from components.train.export import export
from components.transform.preprocessing import preprocessing_fn
from dataset import record

SCHEMA = Path(__file__).parents[2] / "pipeline" / "schema.pbtxt"
CLASS_NAMES = ("ant", "bee", "cat", "dog", "eel", "fröschlein")


def images(count: int, side: int) -> Iterator[bytes]:
    """`count` PNG and JPEG files by turns, `side`×`side` pixels, each of another colour."""
    random = np.random.default_rng(0)
    for index in range(count):
        colour = random.integers(0, 256, 3)
        noise = random.integers(-40, 40, (side, side, 3))
        buffer = io.BytesIO()
        image = Image.fromarray(np.clip(colour + noise, 0, 255).astype(np.uint8))
        image.save(buffer, ("PNG", "JPEG")[index % 2])
        yield buffer.getvalue()


def small_network(side: int) -> keras.Model:
    """A network that is built in no time, whose answers differ from image to image."""
    keras.utils.set_random_seed(1)
    layers = keras.layers
    images = x = keras.Input((side, side, 3))
    x = layers.Conv2D(8, 3, strides=2, activation="relu", kernel_initializer="he_normal")(x)
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dense(len(CLASS_NAMES), kernel_initializer="he_normal")(x)
    return keras.Model(images, x)


def push(model: keras.Model, folder: Path) -> None:
    """Writes `model`, of square images, to the version's folder `folder`."""
    with tempfile.TemporaryDirectory() as transform:
        export(model, analyze(transform, model.input_shape[1]), CLASS_NAMES, str(folder))


def analyze(folder: str, side: int) -> tft.TFTransformOutput:
    """Transform's output for some images, written to `folder`."""
    schema = io_utils.parse_pbtxt_file(str(SCHEMA), schema_pb2.Schema())
    absent = {feature.name: [] for feature in schema.feature}
    rows = [{**absent, record.IMAGE: image, record.LABEL: 1} for image in images(8, side)]
    preprocess = functools.partial(preprocessing_fn, custom_config={"height": side, "width": side})
    with (
        beam.Pipeline(runner="FnApiRunner") as pipeline,
        tft_beam.Context(temp_dir=f"{folder}/tmp"),
    ):
        data = (pipeline | beam.Create(rows), DatasetMetadata(schema))
        analyzed = data | tft_beam.AnalyzeDataset(preprocess)
        _ = analyzed | tft_beam.WriteTransformFn(f"{folder}/graph")
    return tft.TFTransformOutput(f"{folder}/graph")
