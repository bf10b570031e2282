"""A pushed model in this process, loaded as TF Serving loads it: a graph and a session."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from served_model import interface
from serving.answer import (
    Answer,
    InvalidRequestError,
    Prediction,
    answer_each,
    brief,
    predictions,
)


class SavedModel:
    """The signature `serving_default` of a pushed model; threads may share it.

    Args:
        folder: The version's folder, with `saved_model.pb` in it.
    """

    def __init__(self, folder: str) -> None:
        session = tf.compat.v1.Session(graph=tf.Graph())
        with session.graph.as_default():
            loaded = tf.compat.v1.saved_model.load(session, ["serve"], folder)
        signature = loaded.signature_def[interface.SERVING_DEFAULT]
        [image_bytes] = signature.inputs.values()
        outputs = [signature.outputs[name].name for name in (interface.CLASSES, interface.SCORES)]
        self._run = session.make_callable(outputs, feed_list=[image_bytes.name])

    def classify(self, images: Sequence[bytes]) -> list[Answer]:
        """The answers for JPEG or PNG files, in their order."""
        return answer_each(self._predict, images)

    def _predict(self, images: Sequence[bytes]) -> list[Prediction]:
        try:
            return predictions(*self._run(np.array(images, object)))
        except tf.errors.InvalidArgumentError as error:
            raise InvalidRequestError(brief(error.message)) from error
