"""The SavedModel: the image graph and the net behind four signatures that TF Serving can run."""

from collections.abc import Callable, Sequence

import keras
import tensorflow as tf
import tensorflow_transform as tft

from components import record
from components.transform import normalize

TOP_K = 5  # classes that an answer names


def export(
    model: keras.Model,
    transform_output: tft.TFTransformOutput,
    class_names: Sequence[str],
    path: str,
) -> None:
    """Writes `model` to the folder `path`.

    `keras.export.ExportArchive` is used because `tf.saved_model.save` of a Keras 3 model writes one
    that Python loads and that fails every request in TF Serving.

    Args:
      model: pixels float32 [batch, height, width, 3], normalised → logits [batch, classes].
      transform_output: Transform's output.
      class_names: In label order.
      path: A folder that does not exist yet.
    """
    signatures = Signatures(model, transform_output, class_names)
    archive = keras.export.ExportArchive()
    archive.track(model)
    archive.track(signatures.transform_layer)
    for function, spec in signatures.endpoints():
        archive.add_endpoint(function.__name__, function, input_signature=[spec])
    archive.write_out(path, verbose=False)


class Signatures:
    """The functions that the exported model offers, each named as its signature.

    Args:
      model: As for `export`.
      transform_output: Likewise.
      class_names: Likewise.
    """

    def __init__(
        self,
        model: keras.Model,
        transform_output: tft.TFTransformOutput,
        class_names: Sequence[str],
    ) -> None:
        self.transform_layer = transform_output.transform_features_layer()
        self._model = model
        self._class_names = tf.constant(class_names)
        # The moments are the same for every record, so any picture tells them.
        any_picture = tf.io.encode_png(tf.zeros([1, 1, 3], tf.uint8))
        moments = self.transform_layer({record.IMAGE: any_picture[tf.newaxis]})
        self._mean = tf.constant(moments[record.PIXEL_MEAN][0].numpy())
        self._stddev = tf.constant(moments[record.PIXEL_STDDEV][0].numpy())
        # One function that three signatures call: traced, written and loaded once, not thrice.
        self._classify = tf.function(
            self._classify_pixels, input_signature=[tf.TensorSpec(model.input_shape, tf.float32)]
        )

    def endpoints(self) -> list[tuple[Callable[[tf.Tensor], dict[str, tf.Tensor]], tf.TensorSpec]]:
        """Each signature's function and what it takes."""
        strings = [None], tf.string
        return [
            (self.serving_default, tf.TensorSpec(*strings, name="image_bytes")),
            (self.serve_examples, tf.TensorSpec(*strings, name="examples")),
            (
                self.serve_tensors,
                tf.TensorSpec(self._model.input_shape, tf.float32, name="images"),
            ),
            (self.transform_features, tf.TensorSpec(*strings, name="examples")),
        ]

    def serving_default(self, image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        """Encoded pictures, string [batch] → classes, scores, probabilities."""
        return self._classify(self.transform_layer({record.IMAGE: image_bytes})[record.PIXELS])

    def serve_examples(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        """Serialized tf.Examples, string [batch] → as `serving_default`."""
        image = tf.io.FixedLenFeature([], tf.string)
        features = tf.io.parse_example(examples, {record.IMAGE: image})
        return self.serving_default(features[record.IMAGE])

    def serve_tensors(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        """Decoded, resized pictures, float32 [batch, height, width, 3], 0..255 → likewise."""
        return self._classify(normalize(images, self._mean, self._stddev))

    def transform_features(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        """Serialized tf.Examples, string [batch] → normalised pixels and zero-based class index."""
        spec = {
            record.IMAGE: tf.io.FixedLenFeature([], tf.string),
            record.LABEL: tf.io.FixedLenFeature([], tf.int64),
        }
        features = self.transform_layer(tf.io.parse_example(examples, spec))
        return {name: features[name] for name in (record.PIXELS, record.CLASS_INDEX)}

    def _classify_pixels(self, pixels: tf.Tensor) -> dict[str, tf.Tensor]:
        probabilities = tf.nn.softmax(self._model(pixels, training=False))
        k = min(TOP_K, len(self._class_names))
        scores, indices = tf.math.top_k(probabilities, k)
        return {
            record.CLASSES: tf.gather(self._class_names, indices),
            record.SCORES: scores,
            record.PROBABILITIES: probabilities,
        }
