"""Asks a TF Serving server for the classes of images.

As a library:

    from serving.client import Client
    from serving.rest import Rest  # or serving.rpc, Grpc("127.0.0.1:8500")

    with Client(Rest("http://127.0.0.1:8501")) as client:
        [answer] = client.classify([Path("cat.jpg").read_bytes()])

An answer is a Prediction, with `classes` and `scores`, or a Refusal, with `error`. What keeps the
server from answering at all is a ServingError. As a command: `python -m serving.client --help`.
"""

import functools
import itertools
import random
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType

from serving import images
from serving.answer import Answer, Prediction, answer_each
from serving.transport import DeadlineError, Transport, UnavailableError

# Of one request. A server that batches refuses requests of more images than its largest batch.
MAX_IMAGES = 32
MAX_BYTES = 32 * 2**20

ATTEMPTS = 5  # at a server that is not available
FIRST_PAUSE = 0.2  # seconds, at most, before the second attempt; before each further one twice that


class Client:
    """Classifies any number of images through a transport.

    A request is sent again only where the server was not available: then nothing of it was begun,
    or it was cut off, and the same question has the same answer.

    Args:
        transport: How the server is asked; closed with the client.
        timeout: Seconds that one `classify` may take, all its requests and attempts together.
        max_pixels: Greatest width × height of a file that `classify_files` sends.
    """

    def __init__(
        self, transport: Transport, timeout: float = 30.0, max_pixels: int = images.MAX_PIXELS
    ) -> None:
        self._transport = transport
        self._timeout = timeout
        self._read = functools.partial(images.read, max_pixels=max_pixels)

    def __enter__(self) -> "Client":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._transport.close()

    def classify(self, contents: Sequence[bytes]) -> list[Answer]:
        """The answers for image files, in their order.

        Args:
            contents: JPEG or PNG files.

        Raises:
            ServingError: The server did not answer: see its subclasses.
        """
        deadline = time.monotonic() + self._timeout

        def ask(request: Sequence[bytes]) -> list[Prediction]:
            return self._ask(request, deadline)

        answers = (answer_each(ask, request) for request in split(contents))
        return list(itertools.chain.from_iterable(answers))

    def classify_files(self, paths: Iterable[Path]) -> Iterator[tuple[Path, Answer]]:
        """Each file with its answer, in their order; few files are in memory at a time.

        Args:
            paths: Files; one that is no image, or is not there, has a Refusal as its answer and
                is not sent.

        Raises:
            ServingError: As `classify`.
        """
        remaining = iter(paths)
        while some := list(itertools.islice(remaining, MAX_IMAGES)):
            yield from zip(some, images.answer_files(some, self._read, self.classify), strict=True)

    def _ask(self, request: Sequence[bytes], deadline: float) -> list[Prediction]:
        """Sends one request, again if need be, until `deadline` on the monotonic clock."""
        for attempt in itertools.count(1):
            seconds = deadline - time.monotonic()
            if seconds <= 0:
                raise DeadlineError(
                    f"not all was answered within {self._timeout:.1f} s. "
                    "Allow more time, or classify fewer images at once"
                )
            try:
                return self._transport.predict(request, seconds)
            except UnavailableError:
                # Random, so that the clients of a server that was away do not return all at once.
                pause = random.uniform(0, FIRST_PAUSE * 2 ** (attempt - 1))
                if attempt == ATTEMPTS or time.monotonic() + pause >= deadline:
                    raise
            time.sleep(pause)
        raise AssertionError  # the loop ends by return or raise


def split(contents: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    """Parts of `contents`, in order, of at most MAX_IMAGES and, if more than one, MAX_BYTES."""
    start = size = 0
    for end, content in enumerate(contents):
        if end > start and (end - start == MAX_IMAGES or size + len(content) > MAX_BYTES):
            yield contents[start:end]
            start, size = end, 0
        size += len(content)
    if contents:
        yield contents[start:]


if __name__ == "__main__":
    from serving.command import main

    main()
