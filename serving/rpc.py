"""TF Serving's gRPC API. Its protos import TensorFlow, which takes seconds."""

from collections.abc import Callable, Sequence
from typing import Any

import grpc
import tensorflow as tf
from google.protobuf.message import Message
from tensorflow_serving.apis import (
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from served_model import interface
from serving.answer import Prediction, predictions
from serving.gateway import NO_GATEWAY, Gateway
from serving.transport import CONNECT_SECONDS, FISHNET, ModelSpec, fail

CHANNEL_OPTIONS = [
    # By default a second, in which the client's further attempts would be refused unseen.
    ("grpc.initial_reconnect_backoff_ms", 100),
    # In spite of its name how long connecting may take.
    ("grpc.min_reconnect_backoff_ms", int(CONNECT_SECONDS * 1000)),
]


class Grpc:
    """Asks by gRPC; see `serving.transport.Transport`.

    Args:
        address: The server's, e.g. 127.0.0.1:8500.
        model: Which to ask.
        gateway: What stands before the server.
    """

    def __init__(
        self, address: str, model: ModelSpec = FISHNET, gateway: Gateway = NO_GATEWAY
    ) -> None:
        self._address = address
        self._model = model
        self._metadata = [(name.lower(), value) for name, value in gateway.headers.items()]
        if gateway.ca_file:
            trusted = grpc.ssl_channel_credentials(gateway.ca_file.read_bytes())
            self._channel = grpc.secure_channel(address, trusted, CHANNEL_OPTIONS)
        else:
            self._channel = grpc.insecure_channel(address, CHANNEL_OPTIONS)
        self._stub = prediction_service_pb2_grpc.PredictionServiceStub(self._channel)
        self._models = model_service_pb2_grpc.ModelServiceStub(self._channel)

    def predict(self, images: Sequence[bytes], seconds: float) -> list[Prediction]:
        """See `Transport`."""
        request = predict_pb2.PredictRequest(output_filter=[interface.CLASSES, interface.SCORES])
        request.model_spec.name = self._model.name
        request.model_spec.signature_name = interface.SERVING_DEFAULT
        if self._model.version is not None:
            request.model_spec.version.value = self._model.version
        if self._model.label is not None:
            request.model_spec.version_label = self._model.label
        request.inputs[interface.SIGNATURES[interface.SERVING_DEFAULT]].CopyFrom(
            tf.make_tensor_proto(images, tf.string)
        )
        outputs = self._ask(self._stub.Predict, request, seconds).outputs
        return predictions(
            tf.make_ndarray(outputs[interface.CLASSES]),
            tf.make_ndarray(outputs[interface.SCORES]),
        )

    def answering(self, seconds: float) -> ModelSpec:
        """See `Transport`."""
        request = get_model_status_pb2.GetModelStatusRequest()
        request.model_spec.name = self._model.name
        told = self._ask(self._models.GetModelStatus, request, seconds)
        available = get_model_status_pb2.ModelVersionStatus.AVAILABLE
        return self._model.answering(
            version.version for version in told.model_version_status if version.state == available
        )

    def close(self) -> None:
        """See `Transport`."""
        self._channel.close()

    def _ask(self, method: Callable[..., Message], request: Message, seconds: float) -> Any:
        """The server's answer."""
        try:
            return method(request, timeout=seconds, metadata=self._metadata)
        except grpc.RpcError as error:
            fail(error.code().name, error.details(), self._address, self._model, seconds)
