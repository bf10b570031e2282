"""The command line of the client: image files in, names and scores out."""

import dataclasses
import sys
from pathlib import Path
from typing import Annotated

import tyro

from cli.ending import fail
from cli.quiet import quiet_tensorflow
from cli.streams import prepare_streams
from served_model import interface
from serving.answer import Answer, Refusal, json_line
from serving.client import Client
from serving.gateway import gateway
from serving.images import MAX_PIXELS
from serving.transport import ModelSpec, ServingError, Transport


@dataclasses.dataclass(frozen=True, kw_only=True)
class ServerArguments:
    """Which server is asked, and how."""

    url: Annotated[str, tyro.conf.arg(metavar="URL")] = "http://127.0.0.1:8501"
    """The server's REST address."""
    grpc: Annotated[str | None, tyro.conf.arg(metavar="HOST:PORT")] = None
    """The server's gRPC address, e.g. 127.0.0.1:8500: asked instead of the other."""
    model: str = interface.MODEL_NAME
    """The model's name in the server's models.config."""
    version: int | None = None
    """A version of it. Default: the highest that is served."""
    label: str | None = None
    """A version's label in models.config instead, e.g. canary."""
    header: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """ "Name: value", sent with each request; may be given again. Not for secrets, which all users
    of the machine see in the list of processes."""
    token_file: Path | None = None
    """Its content is sent as the header `Authorization: Bearer …`."""
    ca_file: Path | None = None
    """PEM file of the authority that signed the server's certificate. With it gRPC is encrypted."""
    timeout: float = 30.0
    """Seconds for up to 32 images, repeated attempts included."""
    max_pixels: int = MAX_PIXELS
    """Width × height; a larger image is not sent. The default is that of training."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Arguments(ServerArguments):
    """Ask a TF Serving server for the classes of images.

    Exit code: 0 every image was classified, 1 some were not, or the server did not answer,
    2 wrong usage.
    """

    images: Annotated[tyro.conf.Positional[tuple[Path, ...]], tyro.conf.arg(metavar="IMAGE...")]
    """JPEG or PNG files."""
    json: tyro.conf.FlagCreatePairsOff[bool] = False
    """Write a line of JSON for each image, as python -m serving.batch does."""


def transport(arguments: ServerArguments) -> Transport:
    """The way to the server; each is imported where it is taken, gRPC's takes seconds.

    Raises:
        ValueError: The arguments do not say which server, which model, or how long to wait.
    """
    if not arguments.timeout > 0:
        raise ValueError(f"--timeout must be positive. Received: {arguments.timeout}")
    model = ModelSpec(arguments.model, arguments.version, arguments.label)
    before = gateway(arguments.header, arguments.token_file, arguments.ca_file)
    if arguments.grpc is not None:
        quiet_tensorflow()
        from serving.rpc import Grpc

        return Grpc(arguments.grpc, model, before)
    from serving.rest import Rest

    return Rest(arguments.url, model, before)


def tell(file: Path, answer: Answer, as_json: bool) -> None:
    """Writes an answer: to stderr if it is a Refusal, unless JSON is asked for."""
    if as_json:
        sys.stdout.write(json_line(str(file), answer) + "\n")
    elif isinstance(answer, Refusal):
        sys.stderr.write(f"error: {file}: {answer.error}\n")
    else:
        best = zip(answer.classes, answer.scores, strict=True)
        sys.stdout.write(f"{file}  {'  '.join(f'{name} {score:.4f}' for name, score in best)}\n")


def main() -> None:
    """The command line."""
    prepare_streams()
    arguments = tyro.cli(Arguments, prog="python -m serving.client")
    if not arguments.images:
        fail("no image was given; see --help", 2)
    try:
        way = transport(arguments)
    except ValueError as error:
        fail(str(error), 2)
    refused = False
    try:
        with Client(way, arguments.timeout, arguments.max_pixels) as client:
            for file, answer in client.classify_files(arguments.images):
                tell(file, answer, arguments.json)
                refused |= isinstance(answer, Refusal)
    except ServingError as error:
        fail(str(error), 1)
    sys.exit(refused)
