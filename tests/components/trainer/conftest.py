"""What the trainer's tests share: examples on disk as Trainer gets them."""

import dataclasses

import pytest
import tensorflow as tf
from tfx import v1 as tfx
from tfx.components.util import examples_utils, tfxio_utils
from tfx.proto import example_gen_pb2
from tfx.types import standard_artifacts


@dataclasses.dataclass(frozen=True)
class Examples:
    """Files of records and what reads them.

    Attributes:
      files: The training pictures in their order, in two files.
      data_accessor: As TFX makes it for the Trainer.
    """

    files: list[str]
    data_accessor: tfx.components.DataAccessor


@pytest.fixture(scope="session")
def write_examples(tmp_path_factory):
    """Function: serialized tf.Examples → `Examples`."""

    def write_examples(serialized: list[bytes]) -> Examples:
        artifact = standard_artifacts.Examples()
        artifact.uri = str(tmp_path_factory.mktemp("examples"))
        examples_utils.set_payload_format(artifact, example_gen_pb2.FORMAT_TF_EXAMPLE)
        half = len(serialized) // 2
        files = []
        for index, part in enumerate((serialized[:half], serialized[half:])):
            files.append(f"{artifact.uri}/examples-{index:05d}-of-00002.gz")
            with tf.io.TFRecordWriter(files[-1], "GZIP") as writer:
                for record in part:
                    writer.write(record)
        factories = (
            tfxio_utils.get_tf_dataset_factory_from_artifact([artifact], ["tests"]),
            tfxio_utils.get_record_batch_factory_from_artifact([artifact], ["tests"]),
        )
        return Examples(files, tfx.components.DataAccessor(*factories, None))

    return write_examples


@pytest.fixture(scope="session")
def examples(write_examples, encode, example, pictures, labels):
    """The training pictures as records."""
    return write_examples(
        [
            example(encode(picture), int(label))
            for picture, label in zip(pictures, labels, strict=True)
        ]
    )
