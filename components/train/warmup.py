"""Warm-up: requests that TF Serving replays when it loads the model, before it takes real ones.

The first request of a signature takes seconds, since TensorFlow then optimises the graph. A request
that fails keeps the server from loading the model.
"""

import itertools
from collections.abc import Iterable, Sequence

import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

from components.transform.image import decode_and_resize
from dataset import record
from served_model import interface

WARMUP_FILE = "assets.extra/tf_serving_warmup_requests"  # inside the model's folder
BATCH_SIZES = (1, 8)


def write_warmup(folder: str, images: Sequence[bytes], height: int, width: int) -> None:
    """Writes requests of all signatures into an exported model's folder.

    Args:
      folder: Of `saved_model.pb`.
      images: One JPEG or PNG file at least; used again where a batch wants more.
      height: Of what the network takes, pixels.
      width: Likewise.
    """
    path = f"{folder}/{WARMUP_FILE}"
    tf.io.gfile.makedirs(path.rpartition("/")[0])
    with tf.io.TFRecordWriter(path) as writer:
        for size in BATCH_SIZES:
            batch = list(itertools.islice(itertools.cycle(images), size))
            for request in _requests(batch, height, width):
                log = prediction_log_pb2.PredictLog(request=request)
                writer.write(prediction_log_pb2.PredictionLog(predict_log=log).SerializeToString())


def read_warmup(folder: str) -> list[predict_pb2.PredictRequest]:
    """The requests in an exported model's folder.

    Raises:
      tensorflow.errors.NotFoundError: It has none.
    """
    records = tf.data.TFRecordDataset(f"{folder}/{WARMUP_FILE}").as_numpy_iterator()
    logs = map(prediction_log_pb2.PredictionLog.FromString, records)
    return [log.predict_log.request for log in logs]


def predict_request(
    signature: str, **inputs: tf.types.experimental.TensorLike
) -> predict_pb2.PredictRequest:
    """The request for the answer of `signature` to `inputs`, by their names."""
    request = predict_pb2.PredictRequest()
    request.model_spec.name = interface.MODEL_NAME
    request.model_spec.signature_name = signature
    for name, value in inputs.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
    return request


def _requests(
    images: Sequence[bytes], height: int, width: int
) -> Iterable[predict_pb2.PredictRequest]:
    examples = [example(image) for image in images]
    given = {
        interface.SERVING_DEFAULT: images,
        interface.SERVE_EXAMPLES: examples,
        interface.SERVE_TENSORS: decode_and_resize(tf.constant(images), height, width).numpy(),
        interface.TRANSFORM_FEATURES: examples,
    }
    for signature, value in given.items():
        yield predict_request(signature, **{interface.SIGNATURES[signature]: value})


def example(image: bytes) -> bytes:
    """A record that has what any signature reads, serialized; its label is no matter."""
    encoded = tf.train.Feature(bytes_list=tf.train.BytesList(value=[image]))
    label = tf.train.Feature(int64_list=tf.train.Int64List(value=[record.LABEL_BASE]))
    features = tf.train.Features(feature={record.IMAGE: encoded, record.LABEL: label})
    return tf.train.Example(features=features).SerializeToString()
