"""What the components' tests share: images, records, an analysed image graph, an object store.

And for trainings examples on disk, and the arguments of `run_fn`.
"""

import functools
from pathlib import Path

import apache_beam as beam
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_transform as tft
import tensorflow_transform.beam as tft_beam
from memory_store import store
from record_fixtures import encode, example, write_manifest, write_shards
from run_arguments import fn_args
from tensorflow_metadata.proto.v0 import schema_pb2
from tensorflow_transform.tf_metadata.dataset_metadata import DatasetMetadata
from tfx.utils import io_utils

from components.transform.preprocessing import preprocessing_fn
from dataset import record

SIZE = 16  # of the images, in files and after the graph, so that resizing changes nothing
CLASSES = 6
RUNNER = "FnApiRunner"
SCHEMA_PATH = Path(__file__).parents[2] / "pipeline" / "schema.pbtxt"


@pytest.fixture(scope="session")
def schema_path():
    """Path of the curated schema."""
    return str(SCHEMA_PATH)


@pytest.fixture(scope="session")
def schema(schema_path):
    return io_utils.parse_pbtxt_file(schema_path, schema_pb2.Schema())


@pytest.fixture(scope="session")
def images():
    """uint8 (24, SIZE, SIZE, 3): the training images; their channels differ in both moments."""
    noise = np.random.default_rng(0).integers(0, 256, (24, SIZE, SIZE, 3))
    return (noise * [0.3, 0.6, 0.9] + [150, 60, 5]).astype(np.uint8)


@pytest.fixture(scope="session")
def labels():
    """int (24,): the training images' labels, 1 to CLASSES, unevenly many of each."""
    return np.array([1] * 9 + [2] * 5 + [3] * 4 + [4] * 3 + [5] * 2 + [6])


@pytest.fixture(scope="session")
def analyze(schema, tmp_path_factory):
    """Function: records as `(image, label, synset or None)` → TFT's output for the image graph."""

    def analyze(records, height: int = SIZE, width: int = SIZE) -> tft.TFTransformOutput:
        absent = {feature.name: [] for feature in schema.feature}
        rows = [
            {
                **absent,
                record.IMAGE: image,
                record.LABEL: label,
                record.SYNSET: [synset] if synset else [],
            }
            for image, label, synset in records
        ]
        folder = tmp_path_factory.mktemp("transform_graph")
        preprocess = functools.partial(
            preprocessing_fn, custom_config={"height": height, "width": width}
        )
        with (
            beam.Pipeline(runner=RUNNER) as pipeline,
            tft_beam.Context(temp_dir=str(folder / "tmp")),
        ):
            data = (pipeline | beam.Create(rows), DatasetMetadata(schema))
            _ = (
                data
                | tft_beam.AnalyzeDataset(preprocess)
                | tft_beam.WriteTransformFn(str(folder / "graph"))
            )
        return tft.TFTransformOutput(str(folder / "graph"))

    return analyze


@pytest.fixture(scope="session")
def transform_output(analyze, encode, images, labels):
    """The image graph analysed on the training images."""
    return analyze(
        [
            (encode(image), int(label), b"n%02d" % label)
            for image, label in zip(images, labels, strict=True)
        ]
    )


@pytest.fixture(scope="session")
def normalized(images):
    """Function: pixels 0..255 → the pixels that the network must be given, by numpy alone."""
    mean = images.mean(axis=(0, 1, 2))
    stddev = images.std(axis=(0, 1, 2))
    return lambda pixels: ((pixels - mean) / stddev).astype(np.float32)


@pytest.fixture(scope="session")
def write_examples(tmp_path_factory):
    """Function: serialized tf.Examples → two files of them, one after the other."""

    def write_examples(serialized: list[bytes]) -> list[str]:
        folder = tmp_path_factory.mktemp("examples")
        half = len(serialized) // 2
        files = []
        for index, part in enumerate((serialized[:half], serialized[half:])):
            files.append(f"{folder}/examples-{index:05d}-of-00002.gz")
            with tf.io.TFRecordWriter(files[-1], "GZIP") as writer:
                for record in part:
                    writer.write(record)
        return files

    return write_examples


@pytest.fixture(scope="session")
def examples(write_examples, encode, example, images, labels):
    """Files of the training images as records."""
    return write_examples(
        [example(encode(image), int(label)) for image, label in zip(images, labels, strict=True)]
    )
