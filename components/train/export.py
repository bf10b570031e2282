"""The SavedModel: image graph and network behind four signatures that TF Serving can run."""

import json
from collections.abc import Callable, Sequence

import keras
import tensorflow as tf
import tensorflow_transform as tft

from components.train.inference import fold_batch_normalization, freeze
from components.transform import transformed
from components.transform.image import normalize
from components.transform.moments import pixel_moments
from dataset import record
from served_model import interface
from served_model.files import CLASSES_FILE

TOP_K = 5  # classes that an answer names


def export(
    model: keras.Model,
    transform_output: tft.TFTransformOutput,
    class_names: Sequence[str],
    path: str,
) -> None:
    """Writes `model` to the folder `path`, for inference alone.

    `tf.saved_model.save` of a Keras 3 model writes one that Python loads and that fails every
    request in TF Serving, and `keras.export.ExportArchive` writes each weight twice. Hence nothing
    of Keras is written: a function, and the large weights as plain variables.

    Args:
      model: pixels float32 [batch, height, width, 3], normalised → logits [batch, classes].
      transform_output: Transform's output.
      class_names: In label order.
      path: A folder that does not exist yet.
    """
    network, weights = freeze(fold_batch_normalization(model))
    signatures = Signatures(network, model.input_shape, transform_output, class_names)
    root = tf.Module()
    root.weights = weights
    tf.saved_model.save(root, path, signatures=signatures.functions())
    classes_file = f"{path}/{CLASSES_FILE}"
    tf.io.gfile.makedirs(classes_file.rpartition("/")[0])
    with tf.io.gfile.GFile(classes_file, "w") as file:
        file.write(json.dumps(list(class_names), ensure_ascii=False))


class Signatures:
    """The functions that the exported model offers, each named as its signature.

    Args:
      network: pixels float32 [batch, height, width, 3], normalised → logits [batch, classes].
      input_shape: (None, height, width, 3).
      transform_output: Transform's output.
      class_names: In label order.
    """

    def __init__(
        self,
        network: Callable[[tf.Tensor], tf.Tensor],
        input_shape: Sequence[int | None],
        transform_output: tft.TFTransformOutput,
        class_names: Sequence[str],
    ) -> None:
        self._network = network
        self._input_shape = input_shape
        self._transform_layer = transform_output.transform_features_layer()
        self._class_names = tf.constant(class_names)
        self._mean, self._stddev = pixel_moments(self._transform_layer)
        # What several signatures call is a function: traced, written and loaded once.
        images = tf.TensorSpec([None], tf.string)
        labels = tf.TensorSpec([None], tf.int64)
        self._transform = _function(self._transform_records, images, labels)
        self._classify = _function(self._classify_pixels, tf.TensorSpec(input_shape, tf.float32))

    def functions(self) -> dict[str, tf.types.experimental.GenericFunction]:
        """Each signature's function by its name."""
        strings = [None], tf.string
        takes = {
            interface.SERVING_DEFAULT: (self.serving_default, *strings),
            interface.SERVE_EXAMPLES: (self.serve_examples, *strings),
            interface.SERVE_TENSORS: (self.serve_tensors, self._input_shape, tf.float32),
            interface.TRANSFORM_FEATURES: (self.transform_features, *strings),
        }
        return {
            name: _function(function, tf.TensorSpec(shape, dtype, interface.SIGNATURES[name]))
            for name, (function, shape, dtype) in takes.items()
        }

    def serving_default(self, image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        """Encoded images, string [batch] → classes, scores, probabilities."""
        unknown = tf.zeros(tf.shape(image_bytes), tf.int64)
        return self._classify(self._transform(image_bytes, unknown)[transformed.PIXELS])

    def serve_examples(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        """Serialized tf.Examples, string [batch] → as `serving_default`."""
        image = tf.io.FixedLenFeature([], tf.string)
        features = tf.io.parse_example(examples, {record.IMAGE: image})
        return self.serving_default(features[record.IMAGE])

    def serve_tensors(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        """Decoded, resized images, float32 [batch, height, width, 3], 0..255 → likewise."""
        return self._classify(normalize(images, self._mean, self._stddev))

    def transform_features(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        """Serialized tf.Examples, string [batch] → normalised pixels and zero-based class index."""
        spec = {
            record.IMAGE: tf.io.FixedLenFeature([], tf.string),
            record.LABEL: tf.io.FixedLenFeature([], tf.int64),
        }
        features = tf.io.parse_example(examples, spec)
        return self._transform(features[record.IMAGE], features[record.LABEL])

    def _transform_records(self, image: tf.Tensor, label: tf.Tensor) -> dict[str, tf.Tensor]:
        features = self._transform_layer({record.IMAGE: image, record.LABEL: label})
        return {name: features[name] for name in (transformed.PIXELS, transformed.CLASS_INDEX)}

    def _classify_pixels(self, pixels: tf.Tensor) -> dict[str, tf.Tensor]:
        batch = tf.shape(pixels)[0]
        # TensorFlow's convolutions on a CPU refuse an empty batch: it gets an image, for a while.
        missing = tf.cast(batch == 0, tf.int32)
        # Of operations that TFLite has too (serving/export.py).
        pixels = tf.concat([pixels, tf.zeros([missing, *self._input_shape[1:]])], axis=0)
        probabilities = tf.nn.softmax(self._network(pixels))[:batch]
        k = min(TOP_K, len(self._class_names))
        scores, indices = tf.math.top_k(probabilities, k)
        return {
            interface.CLASSES: tf.gather(self._class_names, indices),
            interface.SCORES: scores,
            interface.PROBABILITIES: probabilities,
        }


def _function(
    function: Callable[..., dict[str, tf.Tensor]], *takes: tf.TensorSpec
) -> tf.types.experimental.GenericFunction:
    return tf.function(function, input_signature=takes, autograph=False)
