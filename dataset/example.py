"""The record as bytes: a tf.Example, made and read without TensorFlow.

Importing TensorFlow would cost every worker 2 s and 400 MB for nothing but this message.
https://github.com/tensorflow/tensorflow/blob/master/tensorflow/core/example/feature.proto
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from google.protobuf import text_format
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message
from google.protobuf.reflection import GeneratedProtocolMessageType

from dataset import record

BYTES_FEATURES = (
    record.IMAGE,
    record.SYNSET,
    record.FORMAT,
    record.FILENAME,
    record.COLORSPACE,
)
INT_FEATURES = (record.LABEL, record.HEIGHT, record.WIDTH, record.CHANNELS)

# example.proto and feature.proto, less the messages for sequences.
DESCRIPTOR = """
  name: "example.proto" package: "tensorflow" syntax: "proto3"
  message_type {
    name: "BytesList"
    field { name: "value" number: 1 type: TYPE_BYTES label: LABEL_REPEATED }
  }
  message_type {
    name: "FloatList"
    field { name: "value" number: 1 type: TYPE_FLOAT label: LABEL_REPEATED }
  }
  message_type {
    name: "Int64List"
    field { name: "value" number: 1 type: TYPE_INT64 label: LABEL_REPEATED }
  }
  message_type {
    name: "Feature"
    oneof_decl { name: "kind" }
    field { name: "bytes_list" number: 1 type_name: ".tensorflow.BytesList" oneof_index: 0 }
    field { name: "float_list" number: 2 type_name: ".tensorflow.FloatList" oneof_index: 0 }
    field { name: "int64_list" number: 3 type_name: ".tensorflow.Int64List" oneof_index: 0 }
  }
  message_type {
    name: "Features"
    field {
      name: "feature" number: 1 type_name: ".tensorflow.Features.FeatureEntry" label: LABEL_REPEATED
    }
    nested_type {
      name: "FeatureEntry"
      field { name: "key" number: 1 type: TYPE_STRING }
      field { name: "value" number: 2 type_name: ".tensorflow.Feature" }
      options { map_entry: true }
    }
  }
  message_type {
    name: "Example"
    field { name: "features" number: 1 type_name: ".tensorflow.Features" }
  }
"""


def _message_class() -> Any:
    """The class of tf.Example, in a pool of its own: TensorFlow, if imported, has it in another."""
    pool = DescriptorPool()
    pool.Add(text_format.Parse(DESCRIPTOR, FileDescriptorProto()))
    descriptor = pool.FindMessageTypeByName("tensorflow.Example")
    fields = {"DESCRIPTOR": descriptor, "__module__": __name__}
    return GeneratedProtocolMessageType("Example", (Message,), fields)


_MESSAGE = _message_class()

Feature = Any  # tensorflow.Feature, whose class is made above


def parse(serialized: bytes) -> Mapping[str, Feature]:
    """The features of a serialized tf.Example, by name; asking for one that is absent adds it.

    Raises:
        google.protobuf.message.DecodeError: It is none.
    """
    return _MESSAGE.FromString(serialized).features.feature


class Example(NamedTuple):
    """One labelled image with all features of the record."""

    encoded: bytes  # the image's file
    label: int  # from record.LABEL_BASE
    synset: str  # the class's key; labels follow its order
    filename: str
    format: str  # "JPEG" or "PNG"
    height: int  # pixels
    width: int  # pixels
    colorspace: str  # "RGB" or "Grayscale"


class Serializer:
    """Makes bytes of examples, by filling the same message anew: so not for two threads at once."""

    def __init__(self) -> None:
        self._message = _MESSAGE()
        feature = self._message.features.feature
        self._bytes = {key: feature[key].bytes_list.value for key in BYTES_FEATURES}
        self._ints = {key: feature[key].int64_list.value for key in INT_FEATURES}
        for values in self._bytes.values():
            values.append(b"")
        for values in self._ints.values():
            values.append(0)

    def serialize(self, example: Example) -> bytes:
        """The bytes of the tf.Example, the same for the same example everywhere."""
        texts, ints = self._bytes, self._ints
        texts[record.IMAGE][0] = example.encoded
        texts[record.SYNSET][0] = example.synset.encode()
        texts[record.FORMAT][0] = example.format.encode()
        texts[record.FILENAME][0] = example.filename.encode()
        texts[record.COLORSPACE][0] = example.colorspace.encode()
        ints[record.LABEL][0] = example.label
        ints[record.HEIGHT][0] = example.height
        ints[record.WIDTH][0] = example.width
        ints[record.CHANNELS][0] = 1 if example.colorspace == "Grayscale" else 3
        return self._message.SerializeToString(deterministic=True)
