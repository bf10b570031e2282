"""Shows a page on which a model is tried: an image in, its five best classes out."""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated

import tyro

from cli.ending import fail
from cli.quiet import quiet_tensorflow
from cli.streams import prepare_streams
from served_model.files import why_no_version
from serving import images
from serving.answer import Answer
from serving.client import Client
from serving.command import ServerArguments, transport


@dataclasses.dataclass(frozen=True, kw_only=True)
class Arguments(ServerArguments):
    """Show a page on which a model is tried: an image in, its five best classes out.

    A server answers, or with --folder a pushed version in this process.

    Exit code: 0 ended by Ctrl-C, 2 wrong usage, 1 anything else.
    """

    folder: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None
    """Folder of a pushed version, e.g. output/digits/serving/fishnet/1795393596: no server is
    asked."""
    host: str = "127.0.0.1"
    """Address of the page. Only this machine reaches the default; the page asks for no password."""
    port: int = 7860
    """Its port; 0 takes a free one."""


@dataclasses.dataclass(frozen=True)
class Source:
    """Where the page's answers come from.

    Attributes:
        answer: Image file → its answer; raises ServingError.
        name: () → which version of which model answers now; raises ServingError.
    """

    answer: Callable[[Path], Answer]
    name: Callable[[], str]


@contextlib.contextmanager
def open_source(arguments: Arguments) -> Iterator[Source]:
    """The server, or the version in a folder, that the arguments name.

    Raises:
        ValueError: They name none.
    """
    if arguments.folder is not None:
        yield _folder(arguments.folder, arguments.max_pixels)
        return
    way = transport(arguments)
    with Client(way, arguments.timeout, arguments.max_pixels) as client:

        def answer(file: Path) -> Answer:
            [(_, answer)] = client.classify_files([file])
            return answer

        address = arguments.grpc or arguments.url
        yield Source(answer, lambda: f"{way.answering(arguments.timeout)} at {address}")


def _folder(folder: Path, max_pixels: int) -> Source:
    problem = why_no_version(folder)
    if problem:
        raise ValueError(f"--folder {folder}: {problem}")
    quiet_tensorflow()
    import tensorflow as tf

    from serving.saved_model import SavedModel

    tf.get_logger().setLevel("ERROR")
    model = SavedModel(str(folder))

    def answer(file: Path) -> Answer:
        [answer] = images.answer_files(
            [file], lambda file: images.read(file, max_pixels), model.classify
        )
        return answer

    return Source(answer, lambda: f"version {folder.resolve().name}, loaded from {folder}")


def main() -> None:
    """The command line."""
    prepare_streams()
    arguments = tyro.cli(Arguments, prog="python -m serving.demo")
    if not 0 <= arguments.port < 1 << 16:
        fail(f"--port must be from 0 to 65535. Received: {arguments.port}", 2)
    try:
        from serving import demo_page
    except ImportError as error:
        fail(f"the page needs EXTRAS=demo make setup: {error}", 1)
    try:
        with open_source(arguments) as source:
            demo_page.show(source.answer, source.name, arguments.host, arguments.port)
    except ValueError as error:
        fail(str(error), 2)
    except OSError as error:
        fail(f"{arguments.host}:{arguments.port}: {error}", 1)


if __name__ == "__main__":
    main()
