"""TF Serving's REST API. Nothing of TensorFlow is imported."""

import base64
from collections.abc import Sequence
from typing import Any, NoReturn

import requests

from served_model import interface
from serving.answer import Prediction
from serving.gateway import NO_GATEWAY, Gateway
from serving.transport import CONNECT_SECONDS, FISHNET, ModelSpec, ServingError, fail

# What TF Serving makes of its status codes, read backwards; 502 is a proxy's before a dead server.
STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


class Rest:
    """Asks by HTTP, all requests on one connection; see `serving.transport.Transport`.

    Args:
        url: The server's, e.g. http://127.0.0.1:8501.
        model: Which to ask.
        gateway: What stands before the server.

    Raises:
        ValueError: The URL is none.
    """

    def __init__(self, url: str, model: ModelSpec = FISHNET, gateway: Gateway = NO_GATEWAY) -> None:
        if not url.startswith(("http://", "https://")):
            raise ValueError(f"a REST address starts with http:// or https://. Received: {url!r}")
        try:
            requests.PreparedRequest().prepare_url(url, None)
        except requests.exceptions.InvalidURL as error:  # no host, or no such port
            raise ValueError(f"a REST address is like http://localhost:8501. {error}") from None
        self._url = url.rstrip("/")
        self._model = model
        self._session = requests.Session()
        self._session.headers.update(gateway.headers)
        # Not the session's own `verify`, above which requests has an environment variable.
        self._verify = str(gateway.ca_file) if gateway.ca_file else None

    def predict(self, images: Sequence[bytes], seconds: float) -> list[Prediction]:
        """See `Transport`."""
        instances = [{"b64": base64.b64encode(image).decode()} for image in images]
        body = {"instances": instances}
        response = self._ask("POST", f"{self._model.path}:predict", body, seconds)
        try:
            return [
                Prediction(tuple(answer[interface.CLASSES]), tuple(answer[interface.SCORES]))
                for answer in response.json()["predictions"]
            ]
        except (ValueError, KeyError, TypeError) as error:
            self._fail_to_read(response, error)

    def answering(self, seconds: float) -> ModelSpec:
        """See `Transport`."""
        response = self._ask("GET", ModelSpec(self._model.name).path, None, seconds)
        try:
            versions = [
                int(version["version"])
                for version in response.json()["model_version_status"]
                if version["state"] == "AVAILABLE"
            ]
        except (ValueError, KeyError, TypeError) as error:
            self._fail_to_read(response, error)
        return self._model.answering(versions)

    def close(self) -> None:
        """See `Transport`."""
        self._session.close()

    def _ask(self, method: str, path: str, body: Any, seconds: float) -> requests.Response:
        """The server's answer, which is whole and of status 200."""
        try:
            response = self._session.request(
                method,
                f"{self._url}{path}",
                json=body,
                timeout=(min(CONNECT_SECONDS, seconds), seconds),
                verify=self._verify,
                # What a login page answers is no prediction, and a token is for this address alone.
                allow_redirects=False,
            )
        except requests.ReadTimeout as error:
            self._fail("DEADLINE_EXCEEDED", str(error), seconds)
        except requests.exceptions.SSLError as error:
            raise ServingError(
                f"{self._url} has no certificate that is trusted ({_reason(error)}). --ca-file "
                "names the authority that signed it"
            ) from error
        except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError) as error:
            self._fail("UNAVAILABLE", _reason(error), seconds)
        # requests takes an answer that breaks off for a whole one.
        if response.raw.tell() < int(response.headers.get("Content-Length", 0)):
            self._fail("UNAVAILABLE", "the answer broke off", seconds)
        if response.is_redirect:
            raise ServingError(
                f"{self._url} redirects to {response.headers['Location']}. Is that its address, or "
                "does a gateway want --token-file or --header?"
            )
        if response.status_code != requests.codes.ok:
            status = STATUSES.get(response.status_code, f"HTTP status {response.status_code}")
            self._fail(status, _error(response), seconds)
        return response

    def _fail_to_read(self, response: requests.Response, error: Exception) -> NoReturn:
        raise ServingError(
            f"{self._url} does not answer as TF Serving does for a model of this pipeline: "
            f"{response.text[:200]!r}. Is that its REST address?"
        ) from error

    def _fail(self, status: str, message: str, seconds: float) -> NoReturn:
        fail(status, message, self._url, self._model, seconds)


def _error(response: requests.Response) -> str:
    """What the server says of its error: TF Serving as JSON, a proxy between as anything."""
    try:
        return str(response.json()["error"])
    except (ValueError, KeyError, TypeError):
        return response.text[:200]


def _reason(error: BaseException) -> str:
    """The innermost reason, e.g. "Connection refused"."""
    while error.__context__:
        error = error.__context__
    return str(error)
