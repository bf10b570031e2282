"""Golden answers: what the trained network says of some images, which every export must say too.

They come from the Keras model in memory and the image graph, so that a fault of the export shows.
"""

import dataclasses
from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf
import tensorflow_transform as tft
from tensorflow_serving.apis import prediction_log_pb2

from components.train.export import TOP_K
from components.train.warmup import predict_request
from components.transform import transformed
from dataset import record
from served_model import interface

GOLDEN_FILE = "golden.tfrecord"  # one PredictionLog, request and response
GOLDEN_IMAGES = 48

_INPUT = interface.SIGNATURES[interface.SERVING_DEFAULT]


@dataclasses.dataclass(frozen=True)
class Golden:
    """Images and the right answers.

    Attributes:
      images: JPEG or PNG files.
      answers: What `serving_default` must give for them all in one request: `CLASSES`, `SCORES`
        and `PROBABILITIES` of `dataset.record`.
    """

    images: list[bytes]
    answers: dict[str, np.ndarray]


def golden_answers(
    model: keras.Model,
    transform_output: tft.TFTransformOutput,
    class_names: Sequence[str],
    images: Sequence[bytes],
) -> Golden:
    """Asks the network, in float32 on the CPU: a GPU may round the products of its convolutions."""
    with tf.device("CPU"):
        transform = transform_output.transform_features_layer()
        pixels = transform({record.IMAGE: tf.constant(images)})[transformed.PIXELS]
        probabilities = tf.nn.softmax(model(pixels, training=False)).numpy()
    best = np.argsort(-probabilities, axis=1, kind="stable")[:, :TOP_K]
    answers = {
        interface.CLASSES: np.array([name.encode() for name in class_names], object)[best],
        interface.SCORES: np.take_along_axis(probabilities, best, axis=1),
        interface.PROBABILITIES: probabilities,
    }
    return Golden(list(images), answers)


def write_golden(folder: str, golden: Golden) -> None:
    """Writes `golden` into `folder`, which is made where it is missing."""
    log = prediction_log_pb2.PredictLog(
        request=predict_request(interface.SERVING_DEFAULT, **{_INPUT: golden.images})
    )
    for name, value in golden.answers.items():
        log.response.outputs[name].CopyFrom(tf.make_tensor_proto(value))
    tf.io.gfile.makedirs(folder)
    with tf.io.TFRecordWriter(f"{folder}/{GOLDEN_FILE}") as writer:
        writer.write(prediction_log_pb2.PredictionLog(predict_log=log).SerializeToString())


def read_golden(folder: str) -> Golden:
    """Reads what `write_golden` wrote.

    Args:
      folder: The Trainer's `model_run`.

    Raises:
      tensorflow.errors.NotFoundError: The folder has none.
    """
    [serialized] = tf.data.TFRecordDataset(f"{folder}/{GOLDEN_FILE}").as_numpy_iterator()
    log = prediction_log_pb2.PredictionLog.FromString(serialized).predict_log
    images = tf.make_ndarray(log.request.inputs[_INPUT])
    answers = {name: tf.make_ndarray(value) for name, value in log.response.outputs.items()}
    return Golden(list(images), answers)
