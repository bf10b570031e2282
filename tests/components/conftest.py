"""What the components' tests share: images, records, an analysed image graph, an object store."""

import functools
import hashlib
import io
import json
from pathlib import Path

import apache_beam as beam
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_transform as tft
import tensorflow_transform.beam as tft_beam
from memory_store import MemoryStore
from PIL import Image
from tensorflow_metadata.proto.v0 import schema_pb2
from tensorflow_transform.tf_metadata.dataset_metadata import DatasetMetadata
from tfx.utils import io_utils

from components import record, tfrecord
from components.transform import preprocessing_fn

SIZE = 16  # of the images, in files and after the graph, so that resizing changes nothing
CLASSES = 6
RUNNER = "FnApiRunner"
SCHEMA_PATH = Path(__file__).parents[2] / "pipeline" / "schema.pbtxt"


@pytest.fixture(scope="session")
def encode():
    """Function: uint8 (height, width, 3) or (height, width) → an image file's bytes."""

    def encode(array: np.ndarray, file_format: str = "PNG", mode: str = "") -> bytes:
        buffer = io.BytesIO()
        image = Image.fromarray(array)
        (image.convert(mode) if mode else image).save(buffer, file_format)
        return buffer.getvalue()

    return encode


@pytest.fixture(scope="session")
def example():
    """Function: the features of one record → a serialized tf.Example.

    None for a feature that it lacks, a list for one that has not just one value; `others` are named
    without their "image/".
    """

    def example(image, label, **others) -> bytes:
        features = {
            record.IMAGE: image,
            record.LABEL: label,
            **{f"image/{name}": value for name, value in others.items()},
        }
        proto = tf.train.Example()
        for name, value in features.items():
            if value is None:
                continue
            values = value if isinstance(value, list) else [value]
            kind = {bytes: "bytes_list", int: "int64_list", float: "float_list"}[type(values[0])]
            getattr(proto.features.feature[name], kind).value.extend(values)
        return proto.SerializeToString()

    return example


@pytest.fixture(scope="session")
def write_shards():
    """Function: writes each of the lists of records as a shard of a split, by TensorFlow."""

    def write_shards(folder: Path, split: str, shards: list[list[bytes]]) -> list[Path]:
        paths = [
            folder / record.shard_name(split, index, len(shards)) for index in range(len(shards))
        ]
        for path, records in zip(paths, shards, strict=True):
            path.parent.mkdir(parents=True, exist_ok=True)
            with tf.io.TFRecordWriter(str(path)) as writer:
                for serialized in records:
                    writer.write(serialized)
        return paths

    return write_shards


@pytest.fixture(scope="session")
def write_manifest():
    """Function: writes the manifest of a folder's shards as they are; returns what it tells."""

    def write_manifest(folder: Path, synsets: tuple[str, ...] = ()) -> dict:
        labels = folder / record.LABELS_FILE
        digest = hashlib.sha256(labels.read_bytes() if labels.exists() else b"").hexdigest()
        manifest = {
            "labels_sha256": digest,
            "synsets": list(synsets),
            "splits": {split: {"records": 0, "shards": {}} for split in record.SPLITS},
        }
        for split, facts in manifest["splits"].items():
            for shard in sorted((folder / split).glob(f"{split}-*")):
                content = shard.read_bytes()
                number = tfrecord.count_records(io.BytesIO(content))
                facts["records"] += number
                facts["shards"][f"{split}/{shard.name}"] = {
                    "records": number,
                    "bytes": len(content),
                    "sha256": hashlib.sha256(content).hexdigest(),
                }
        text = json.dumps(manifest, ensure_ascii=False)
        (folder / record.MANIFEST_FILE).write_text(text, "utf-8")
        return manifest

    return write_manifest


@pytest.fixture
def store():
    """The object store that is at memory://, empty."""
    MemoryStore.objects.clear()
    MemoryStore.log.clear()
    return MemoryStore


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
