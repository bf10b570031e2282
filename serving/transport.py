"""What REST and gRPC have in common: which model they ask, and how that can fail."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NoReturn, Protocol
from urllib.parse import quote

from served_model import interface
from serving.answer import InvalidRequestError, Prediction, brief

CONNECT_SECONDS = 3.0  # after which a host that does not even refuse counts as unavailable


class ServingError(Exception):
    """A server did not answer; the message says which, why, and what to look at."""


class UnavailableError(ServingError):
    """The server cannot be reached, or cannot answer now; asking again may help."""


class DeadlineError(ServingError):
    """The server did not answer in time."""


class NotFoundError(ServingError):
    """The server does not serve that model, version or label."""


@dataclass(frozen=True)
class ModelSpec:
    """A model that a server serves: its highest version unless told otherwise.

    Args:
        name: As in the server's models.config.
        version: A version.
        label: A version's label in models.config, e.g. "canary".

    Raises:
        ValueError: Both a version and a label.
    """

    name: str = interface.MODEL_NAME
    version: int | None = None
    label: str | None = None

    def __post_init__(self) -> None:
        if self.version is not None and self.label is not None:
            raise ValueError(
                "give a version or a label, not both. "
                f"Received: version={self.version}, label={self.label!r}"
            )

    def __str__(self) -> str:
        if self.version is not None:
            return f"version {self.version} of model `{self.name}`"
        if self.label is not None:
            return f"the version labelled `{self.label}` of model `{self.name}`"
        return f"model `{self.name}`"

    def answering(self, available: Iterable[int]) -> "ModelSpec":
        """Which of the model's versions that are `available` answers, named by its number.

        A label stays one: TF Serving does not tell whose it is.

        Raises:
            NotFoundError: None is available.
        """
        if self.version is not None or self.label is not None:
            return self
        try:
            return replace(self, version=max(available))
        except ValueError as error:
            raise NotFoundError(f"no version of {self} is loaded; is one still loading?") from error

    @property
    def path(self) -> str:
        """The model in a URL of TF Serving's REST API."""
        path = f"/v1/models/{quote(self.name, safe='')}"
        if self.version is not None:
            return f"{path}/versions/{self.version}"
        if self.label is not None:
            return f"{path}/labels/{quote(self.label, safe='')}"
        return path


FISHNET = ModelSpec()  # the highest version of the model that the pipeline pushes


class Transport(Protocol):
    """A way to a server."""

    def predict(self, images: Sequence[bytes], seconds: float) -> list[Prediction]:
        """The predictions for JPEG or PNG files, by one request.

        Args:
            images: At least one.
            seconds: How long the answer may take.

        Raises:
            InvalidRequestError: At least one of the images cannot be decoded.
            ServingError: The server did not answer.
        """

    def answering(self, seconds: float) -> ModelSpec:
        """The version that answers now, as `ModelSpec.answering` has it.

        Args:
            seconds: How long the server may take to tell.

        Raises:
            ServingError: The server did not tell, or has no version of the model.
        """

    def close(self) -> None:
        """Ends the connection."""


def fail(status: str, message: str, address: str, model: ModelSpec, seconds: float) -> NoReturn:
    """Raises the error that a server's status stands for.

    Args:
        status: A gRPC status code's name, e.g. "NOT_FOUND".
        message: What the server says of it.
        address: The server's.
        model: Which was asked for.
        seconds: How long the answer might have taken.
    """
    told = brief(message)
    unknown_label = model.label is not None and "version label" in told
    if status == "NOT_FOUND" or unknown_label:
        raise NotFoundError(
            f"{address} does not serve {model} ({told}). "
            f"Its REST API lists, under /v1/models/{model.name} which versions it does serve"
        )
    if status in ("UNAUTHENTICATED", "PERMISSION_DENIED"):
        raise ServingError(
            f"{address} lets nobody in without the right --token-file or --header: {told}"
        )
    if status == "INVALID_ARGUMENT":
        raise InvalidRequestError(told)
    if status == "UNAVAILABLE":
        raise UnavailableError(
            f"{address} is not available ({told}). Is the server running, and the address right?"
        )
    if status == "DEADLINE_EXCEEDED":
        raise DeadlineError(
            f"{address} did not answer within {seconds:.1f} s. "
            "Allow it more time, or see whether it has too much to do"
        )
    raise ServingError(f"{address} failed: {status}: {told}")
