"""Asks an exported model all that a server may be asked, in a process that may crash or hang.

It is loaded as TF Serving loads it: by the loader of TensorFlow 1, which shares its C++ and brings
no Python object along.
"""

import dataclasses
import io
import itertools
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
import tensorflow as tf
from PIL import ExifTags, Image

from components.train.golden import Golden, read_golden
from components.train.warmup import example, read_warmup
from served_model import interface

LOAD = "load"  # the step before all requests
BATCH_SIZES = (1, 2, 7, 64)
TIMED_REQUESTS = 100  # of one image each; the 99th percentile is the second slowest

Inputs = dict[str, Any]
Answer = dict[str, np.ndarray]


@dataclasses.dataclass
class Findings:
    """What came of the requests.

    Attributes:
      load_seconds: Time to load the model.
      median_seconds: Of a request for one image, warm.
      p99_seconds: Likewise, 99th percentile.
      outcomes: What became of each odd request, by its name: "answer", or the error.
      faults: What a server with this model would do wrong.
    """

    load_seconds: float = 0.0
    median_seconds: float = 0.0
    p99_seconds: float = 0.0
    outcomes: dict[str, str] = dataclasses.field(default_factory=dict)
    faults: list[str] = dataclasses.field(default_factory=list)


class LoadedModel:
    """A SavedModel in a session.

    Args:
      path: Its folder.

    Raises:
      Exception: It cannot be loaded.
    """

    def __init__(self, path: str) -> None:
        self._session = tf.compat.v1.Session(graph=tf.Graph())
        meta_graph = tf.compat.v1.saved_model.load(self._session, ["serve"], path)
        self._signatures = meta_graph.signature_def

    def lacking(self) -> list[str]:
        """Which of `interface.SIGNATURES` it does not have as they should be."""
        return [
            f"signature `{name}` with the input `{taken}` is missing"
            for name, taken in interface.SIGNATURES.items()
            if name not in self._signatures or set(self._signatures[name].inputs) != {taken}
        ]

    def ask(self, signature: str, inputs: Inputs) -> Answer:
        """The answer of a signature, by output name.

        Raises:
          KeyError: There is no such signature, or it has no such input.
          tensorflow.errors.OpError: There is no answer.
        """
        if signature not in self._signatures:  # a protobuf map would give an empty one
            raise KeyError(f"there is no signature `{signature}`")
        definition = self._signatures[signature]
        feed = {definition.inputs[name].name: value for name, value in inputs.items()}
        outputs = {name: tensor.name for name, tensor in definition.outputs.items()}
        return self._session.run(outputs, feed)


def probe(
    model_path: str, golden_folder: str, max_difference: float, connection: Connection
) -> None:
    """Sends through `connection` what it does before it does it, then the `Findings`.

    That is `LOAD`, or the name of a request.

    Args:
      model_path: The SavedModel's folder.
      golden_folder: Where the Trainer left the golden answers.
      max_difference: By how much scores may differ from these.
      connection: To the process that waits.
    """
    tf.config.set_visible_devices([], "GPU")  # the process that waits may hold its memory
    findings = Findings()
    golden = read_golden(golden_folder)
    connection.send(LOAD)
    started = time.perf_counter()
    try:
        model = LoadedModel(model_path)
    except Exception as error:  # whatever it is, a server would not serve
        findings.faults.append(f"it cannot be loaded: {_told(error)}")
        connection.send(findings)
        return
    findings.load_seconds = time.perf_counter() - started
    findings.faults += model.lacking()
    if not findings.faults:
        _replay_warmup(model, model_path, findings, connection)
    if not findings.faults:
        _replay_golden(model, golden, max_difference, findings, connection)
    if not findings.faults:
        _ask_odd_requests(model, golden, findings, connection)
    if not findings.faults:
        _time_requests(model, golden, findings, connection)
    connection.send(findings)


def _replay_warmup(
    model: LoadedModel, path: str, findings: Findings, connection: Connection
) -> None:
    """A warm-up request that fails keeps a server from loading the model."""
    try:
        requests = read_warmup(path)
    except tf.errors.NotFoundError:
        findings.faults.append("it has no warm-up requests: its first real ones would take seconds")
        return
    for index, request in enumerate(requests):
        signature = request.model_spec.signature_name
        inputs = {name: tf.make_ndarray(value) for name, value in request.inputs.items()}
        connection.send(f"warm-up request {index}")
        try:
            model.ask(signature, inputs)
        except (tf.errors.OpError, KeyError) as error:
            findings.faults.append(f"warm-up request {index} of `{signature}`: {_told(error)}")


def _replay_golden(
    model: LoadedModel,
    golden: Golden,
    max_difference: float,
    findings: Findings,
    connection: Connection,
) -> None:
    """The same answers as the network gave in the Trainer, in any batch."""
    for size in BATCH_SIZES:
        rows = np.arange(size) % len(golden.images)
        images = [golden.images[row] for row in rows]
        examples = [example(image) for image in images]
        right = {name: value[rows] for name, value in golden.answers.items()}
        for signature in (interface.SERVING_DEFAULT, interface.SERVE_EXAMPLES):
            given = images if signature == interface.SERVING_DEFAULT else examples
            connection.send(f"golden images, {size} at a time")
            try:
                answer = model.ask(signature, {interface.SIGNATURES[signature]: given})
            except tf.errors.OpError as error:
                findings.faults.append(f"`{signature}`, {size} golden images: {_told(error)}")
            else:
                wrong = _difference(answer, right, max_difference)
                if wrong:
                    findings.faults.append(f"`{signature}`, {size} golden images: {wrong}")


def _difference(answer: Answer, right: Answer, max_difference: float) -> str:
    """How an answer differs from the right one by more than it may; empty if it does not."""
    for name, value in right.items():
        if name not in answer or answer[name].shape != value.shape:
            return f"`{name}` is missing, or of the wrong shape"
    for name in (interface.SCORES, interface.PROBABILITIES):
        largest = np.max(np.abs(answer[name] - right[name]))
        if not largest <= max_difference:  # also where it is not a number
            return f"`{name}` differ from the Trainer's by {largest:.2g}: over {max_difference:g}"
    # Of classes whose scores are as good as equal either may come first.
    ties = np.abs(np.diff(right[interface.SCORES], axis=1)) <= 2 * max_difference
    tied = np.zeros(right[interface.SCORES].shape, bool)
    tied[:, 1:] |= ties
    tied[:, :-1] |= ties
    tied[:, -1] = True  # with the class that just missed the list, perhaps
    if np.any((answer[interface.CLASSES] != right[interface.CLASSES]) & ~tied):
        return f"`{interface.CLASSES}` are others than the Trainer's"
    return ""


def _odd_requests(golden: Golden) -> Iterator[tuple[str, list[bytes], bool | None]]:
    """Requests that a server gets sooner or later: name, images, whether an answer must come.

    None is where either will do, so long as it comes.
    """
    good = golden.images[0]
    noise = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    yield "no image at all", [], None
    yield "empty string", [b""], False
    yield "not an image", [b"not an image"], False
    yield "truncated JPEG", [_encoded(noise, "JPEG")[:200]], False
    yield "one bad image in a batch", [good, b"not an image", good], False
    yield "1×1 image", [_encoded(noise[:1, :1], "PNG")], None
    yield "4,000×4,000 image", [_encoded(np.zeros((4000, 4000, 3), np.uint8), "JPEG")], None
    yield "PNG", [_encoded(noise, "PNG")], True
    yield "grey JPEG", [_encoded(noise[..., 0], "JPEG")], True
    yield "CMYK JPEG", [_encoded(noise, "JPEG", "CMYK")], None
    yield "JPEG with an EXIF orientation", [_turned(noise)], True


def _encoded(pixels: np.ndarray, file_format: str, mode: str = "") -> bytes:
    image = Image.fromarray(pixels)
    buffer = io.BytesIO()
    (image.convert(mode) if mode else image).save(buffer, file_format)
    return buffer.getvalue()


def _turned(pixels: np.ndarray) -> bytes:
    """A file for which the image graph takes the way that few files take."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", exif=exif)
    return buffer.getvalue()


def _ask_odd_requests(
    model: LoadedModel, golden: Golden, findings: Findings, connection: Connection
) -> None:
    for name, images, must_answer in _odd_requests(golden):
        connection.send(name)
        try:
            answer = model.ask(
                interface.SERVING_DEFAULT,
                {interface.SIGNATURES[interface.SERVING_DEFAULT]: images},
            )
        except tf.errors.OpError as error:
            findings.outcomes[name] = _told(error)
            if must_answer:
                findings.faults.append(f"{name}: no answer: {_told(error)}")
        else:
            findings.outcomes[name] = "answer"
            if must_answer is False:
                findings.faults.append(f"{name}: an answer where an error is due")
            elif not np.all(np.isfinite(answer[interface.SCORES])):
                findings.faults.append(f"{name}: scores that are no numbers")


def _time_requests(
    model: LoadedModel, golden: Golden, findings: Findings, connection: Connection
) -> None:
    seconds = []
    for image in itertools.islice(itertools.cycle(golden.images), TIMED_REQUESTS):
        connection.send("timed request")
        started = time.perf_counter()
        model.ask(
            interface.SERVING_DEFAULT,
            {interface.SIGNATURES[interface.SERVING_DEFAULT]: [image]},
        )
        seconds.append(time.perf_counter() - started)
    findings.median_seconds = float(np.median(seconds))
    findings.p99_seconds = float(np.percentile(seconds, 99))


def _told(error: Exception) -> str:
    """What an error says first, short."""
    lines = str(getattr(error, "message", error)).splitlines()
    said = [line.strip() for line in lines if line.strip() not in ("", "Graph execution error:")]
    return said[0][:200] if said else type(error).__name__
