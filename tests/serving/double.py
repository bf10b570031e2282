"""A test double of TF Serving: its REST and gRPC interfaces, status codes and messages.

The real server is no Python package. The double speaks the real stubs of tensorflow-serving-api and
HTTP, and has a function for a model. Its messages are those of TF Serving's sources.
"""

import base64
import json
import re
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np

Outputs = dict[str, np.ndarray]
Model = Callable[[Sequence[bytes]], Outputs]

HTTP_STATUS = {
    "INVALID_ARGUMENT": 400,
    "UNAUTHENTICATED": 401,
    "NOT_FOUND": 404,
    "UNAVAILABLE": 503,
    "INTERNAL": 500,
}
NOT_A_IMAGE = (
    "{{function_node __f}} Unknown image file format. One of JPEG, PNG, GIF, BMP required."
    "\n\t [[{{node map/while/decode_image/DecodeImage}}]]"
)


class StatusError(Exception):
    """A request that failed: a gRPC status code's name and a message."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message)
        self.code, self.message = code, message


class Double:
    """The servables, and what a test may make of them and know of the requests.

    Args:
        models: Name → version → model.
        labels: Label → version.
    """

    def __init__(self, models: dict[str, dict[int, Model]], labels: dict[str, int]) -> None:
        self.models, self.labels = models, labels
        self.loading: dict[str, set[int]] = {}  # versions that cannot answer yet
        self.batch_sizes: list[int] = []  # of the requests so far
        self.connections = 0  # by REST, so far
        self.failures: list[StatusError] = []  # for the next requests
        self.seconds = 0.0  # that an answer takes
        self.authorization: str | None = None  # that requests must have
        self.stopping = threading.Event()

    def admit(self, authorization: str | None) -> None:
        if self.authorization not in (None, authorization):
            raise StatusError("UNAUTHENTICATED", "who is there?")

    def predict(
        self, name: str, version: int | None, label: str | None, images: Sequence[bytes]
    ) -> Outputs:
        self.batch_sizes.append(len(images))
        self.stopping.wait(self.seconds)
        if self.failures:
            raise self.failures.pop(0)
        return self._model(name, version, label)(images)

    def states(self, name: str) -> dict[int, str]:
        """The model's versions and what each is about, as the server lists them."""
        if name not in self.models:
            raise StatusError("NOT_FOUND", f"Could not find any versions of model {name}")
        loading = self.loading.get(name, set())
        return {
            **dict.fromkeys(sorted(loading, reverse=True), "LOADING"),
            **dict.fromkeys(sorted(self.models[name], reverse=True), "AVAILABLE"),
        }

    def _model(self, name: str, version: int | None, label: str | None) -> Model:
        if label is not None:
            if label not in self.labels:
                message = f"Unrecognized servable version label: {label}"
                raise StatusError("INVALID_ARGUMENT", message)
            version = self.labels[label]
        versions = self.models.get(name, {})
        if version is None and versions:
            version = max(versions)
        if version not in versions:
            asked = f"Latest({name})" if version is None else f"Specific({name}, {version})"
            raise StatusError("NOT_FOUND", f"Servable not found for request: {asked}")
        return versions[version]


class RestHandler(BaseHTTPRequestHandler):
    """TF Serving's REST API: `predict`, and which versions there are."""

    protocol_version = "HTTP/1.1"  # keeps connections
    double: Double
    path_pattern = re.compile(
        r"/v1/models/([^/:]+)(?:/versions/(\d+)|/labels/([^/:]+))?:predict", re.IGNORECASE
    )

    def setup(self) -> None:
        self.double.connections += 1
        super().setup()

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self._answer(lambda: {"predictions": self._predictions(body)})

    def do_GET(self) -> None:
        self._answer(lambda: {"model_version_status": self._states()})

    def _answer(self, ask: Callable[[], dict]) -> None:
        try:
            self.double.admit(self.headers.get("Authorization"))
            status, answer = 200, ask()
        except StatusError as error:
            status, answer = HTTP_STATUS[error.code], {"error": error.message}
        content = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _predictions(self, body: dict) -> list[dict]:
        match = self.path_pattern.fullmatch(self.path)
        if not match:
            raise StatusError("INVALID_ARGUMENT", f"Malformed request: POST {self.path}")
        name, version, label = match.groups()
        images = [base64.b64decode(instance["b64"]) for instance in body["instances"]]
        outputs = self.double.predict(name, int(version) if version else None, label, images)
        return [
            {
                name: [x.decode() if isinstance(x, bytes) else float(x) for x in output[row]]
                for name, output in outputs.items()
            }
            for row in range(len(images))
        ]

    def _states(self) -> list[dict]:
        match = re.fullmatch(r"/v1/models/([^/:]+)", self.path)
        if not match:
            raise StatusError("INVALID_ARGUMENT", f"Malformed request: GET {self.path}")
        fine = {"error_code": "OK", "error_message": ""}
        states = self.double.states(match[1]).items()
        return [
            {"version": str(version), "state": state, "status": fine} for version, state in states
        ]

    def log_message(self, *_: object) -> None:
        pass


def serve_rest(
    double: Double, host: str = "127.0.0.1", port: int = 0, pem: Path | None = None
) -> ThreadingHTTPServer:
    """Serves until `shutdown`; `server_address` has the port, which the system chooses if 0.

    With `pem`, a key and its certificate, it speaks TLS.
    """
    server = ThreadingHTTPServer((host, port), type("Handler", (RestHandler,), {"double": double}))
    if pem:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    return server


def serve_grpc(double: Double, host: str = "127.0.0.1", port: int = 0, pem: Path | None = None):
    """Serves until `stop`; returns the server and its port, which the system chooses if 0.

    With `pem`, a key and its certificate, it speaks TLS.
    """
    import grpc  # with the stubs it imports TensorFlow
    import tensorflow as tf
    from tensorflow_serving.apis import (
        get_model_status_pb2,
        model_service_pb2_grpc,
        predict_pb2,
        prediction_service_pb2_grpc,
    )

    class Service(prediction_service_pb2_grpc.PredictionServiceServicer):
        def Predict(self, request, context):
            spec = request.model_spec
            version = spec.version.value if spec.HasField("version") else None
            try:
                double.admit(dict(context.invocation_metadata()).get("authorization"))
                assert spec.signature_name in ("", "serving_default")
                outputs = double.predict(
                    spec.name,
                    version,
                    spec.version_label or None,
                    list(tf.make_ndarray(request.inputs["image_bytes"])),
                )
            except StatusError as error:
                context.abort(grpc.StatusCode[error.code], error.message)
            response = predict_pb2.PredictResponse(model_spec=spec)
            for name in request.output_filter or outputs:
                response.outputs[name].CopyFrom(tf.make_tensor_proto(outputs[name]))
            return response

    class Models(model_service_pb2_grpc.ModelServiceServicer):
        def GetModelStatus(self, request, context):
            response = get_model_status_pb2.GetModelStatusResponse()
            try:
                double.admit(dict(context.invocation_metadata()).get("authorization"))
                for version, state in double.states(request.model_spec.name).items():
                    response.model_version_status.add(version=version, state=state)
            except StatusError as error:
                context.abort(grpc.StatusCode[error.code], error.message)
            return response

    server = grpc.server(ThreadPoolExecutor(4))
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(Models(), server)
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(Service(), server)
    if pem:
        key, _, certificate = pem.read_bytes().partition(b"-----BEGIN CERTIFICATE-----")
        pair = (key, b"-----BEGIN CERTIFICATE-----" + certificate)
        credentials = grpc.ssl_server_credentials([pair])
        port = server.add_secure_port(f"{host}:{port}", credentials)
    else:
        port = server.add_insecure_port(f"{host}:{port}")
    server.start()
    return server, port


def made_up(version: int) -> Model:
    """A model that answers by the images' bytes, and takes images that begin as they should."""

    def predict(images: Sequence[bytes]) -> Outputs:
        if not all(image.startswith((b"\x89PNG", b"\xff\xd8")) for image in images):
            raise StatusError("INVALID_ARGUMENT", NOT_A_IMAGE)
        scores = np.array([[sum(image) % 997 / 1000, 0.001] for image in images], np.float32)
        classes = [[f"käfer{sum(image) % 7}-{version}".encode(), b"ant"] for image in images]
        return {"classes": np.array(classes, object), "scores": scores}

    return predict


def load(folder: Path) -> Model:
    """A pushed version, loaded as TF Serving loads it, without the code under test."""
    import tensorflow as tf

    session = tf.compat.v1.Session(graph=tf.Graph())
    with session.graph.as_default():
        loaded = tf.compat.v1.saved_model.load(session, ["serve"], str(folder))
    signature = loaded.signature_def["serving_default"]
    image_bytes = signature.inputs["image_bytes"].name
    outputs = {name: tensor.name for name, tensor in signature.outputs.items()}

    def predict(images: Sequence[bytes]) -> Outputs:
        try:
            return session.run(outputs, {image_bytes: np.array(images, object)})
        except tf.errors.InvalidArgumentError as error:
            message = error.message.removeprefix("Graph execution error:\n\n")  # Python adds it
            raise StatusError("INVALID_ARGUMENT", message) from error

    return predict


def free_port() -> int:
    """A port on which nobody listens."""
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        return server.server_address[1]


def monotonic_seconds(action: Callable[[], object]) -> float:
    """Seconds that `action` takes."""
    start = time.monotonic()
    action()
    return time.monotonic() - start
