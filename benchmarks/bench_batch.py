"""Images per second of batch prediction, and of the same signature's forward pass alone.

The pipeline's start, above all the loading of the model, takes seconds however many images there
are. It is measured with a folder of one batch, and the rest of the run is compared too.

Run: python benchmarks/bench_batch.py [IMAGES [NET ...]]
"""

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "serving"))
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras
import tensorflow as tf
import untrained
from absl import logging

from models import fishnet
from serving import batch_pipeline
from serving.answer import Answer, Refusal
from serving.images import MAX_PIXELS
from serving.saved_model import SavedModel

IMAGES = 1_000
NETWORKS = ("fishnet_tiny", "fishnet_simple")
SIDE = 64
BATCH_SIZE = 64

Result = TypeVar("Result")


def timed(action: Callable[[], Result]) -> tuple[float, Result]:
    """Seconds of `action`, and its result."""
    start = time.perf_counter()
    result = action()
    return time.perf_counter() - start, result


def forward(model: SavedModel, contents: Sequence[bytes]) -> list[Answer]:
    """The model's answers, batch by batch."""
    return [
        answer
        for index in range(0, len(contents), BATCH_SIZE)
        for answer in model.classify(contents[index : index + BATCH_SIZE])
    ]


def batch(folder: Path, version: Path, output: Path) -> None:
    """The pipeline, from loading the model to the whole file."""
    beam_args = ["--runner=FnApiRunner"]
    batch_pipeline.run(str(folder), str(version), str(output), BATCH_SIZE, MAX_PIXELS, beam_args)


def write(folder: Path, names: Sequence[str], contents: Sequence[bytes]) -> None:
    """Makes `folder` with the files."""
    folder.mkdir()
    for name, content in zip(names, contents, strict=True):
        (folder / name).write_bytes(content)


def difference(names: Sequence[str], answers: Sequence[Answer], output: Path) -> float:
    """The greatest difference of a score; fails where other classes are named."""
    lines = {line["file"]: line for line in map(json.loads, output.open(encoding="utf-8"))}
    greatest = 0.0
    for name, answer in zip(names, answers, strict=True):
        if isinstance(answer, Refusal):
            raise ValueError(f"{name}: {answer.error}")
        scores = dict(zip(lines[name]["classes"], lines[name]["scores"], strict=True))
        for class_name, score in zip(answer.classes, answer.scores, strict=True):
            greatest = max(greatest, abs(scores[class_name] - score))
    return greatest


def measure(network: str, work: Path, contents: Sequence[bytes], names: Sequence[str]) -> str:
    """A row for a network."""
    keras.utils.set_random_seed(1)
    version = work / network / "1"
    untrained.push(fishnet.build(network, len(untrained.CLASS_NAMES), (SIDE, SIDE, 3)), version)
    model = SavedModel(str(version))
    forward(model, contents[:BATCH_SIZE])  # the first call is slower
    output = work / f"{network}.jsonl"
    start, _ = timed(lambda: batch(work / "one_batch", version, output))
    alone, answers = timed(lambda: forward(model, contents))
    piped, _ = timed(lambda: batch(work / "images", version, output))
    count = len(contents)
    rates = count / alone, count / piped, (count - BATCH_SIZE) / (piped - start)
    return (
        f"{network:<16}{rates[0]:>10.0f}{rates[1]:>9.0f}{rates[1] / rates[0]:>7.0%}{start:>9.1f}"
        f"{rates[2]:>15.0f}{rates[2] / rates[0]:>7.0%}{difference(names, answers, output):>15.1e}"
    )


def main() -> None:
    """Prints a row for each network."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else IMAGES
    logging.set_verbosity(logging.ERROR)
    tf.get_logger().setLevel("ERROR")
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        contents = list(untrained.images(count, SIDE))
        names = [f"{index:06d}.{('png', 'jpg')[index % 2]}" for index in range(count)]
        write(work / "images", names, contents)
        write(work / "one_batch", names[:BATCH_SIZE], contents[:BATCH_SIZE])
        print(f"{os.cpu_count()} cores, {count:,} images of {SIDE}×{SIDE}, batch {BATCH_SIZE}")
        print(
            f"{'network':<16}{'forward/s':>10}{'batch/s':>9}{'ratio':>7}{'start, s':>9}"
            f"{'batch/s after':>15}{'ratio':>7}{'scores differ':>15}"
        )
        for network in sys.argv[2:] or NETWORKS:
            print(measure(network, work, contents, names), flush=True)


if __name__ == "__main__":
    main()
