"""The exported model against the plain Keras export: size, loading, latency, throughput.

Both are loaded in this process as TF Serving loads them, and asked by turns, so that what else the
machine does falls on both alike. The plain export is `keras.export.ExportArchive`'s.

Run: python benchmarks/bench_serving.py
"""

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "serving"))
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras
import numpy as np
import tensorflow as tf
import tensorflow_transform as tft
import untrained

from components.train.export import Signatures, export
from models import fishnet

NETWORKS = (("fishnet_tiny", 16, 10), ("fishnet99", 64, 200))  # name, side in pixels, classes
LOADS = 3
SECONDS = 20  # of each measurement
BATCH_SIZES = (1, 32)

Answer = Callable[[Sequence[bytes] | np.ndarray], object]


def plain_export(
    model: keras.Model, transform_output: tft.TFTransformOutput, names: Sequence[str], path: str
) -> None:
    """What one would write: the Keras model and the image graph, traced as they are."""
    signatures = Signatures(
        lambda pixels: model(pixels, training=False), model.input_shape, transform_output, names
    )
    archive = keras.export.ExportArchive()
    archive.track(model)
    for name, function in signatures.functions().items():
        archive.add_endpoint(name, getattr(signatures, name), function.input_signature)
    archive.write_out(path, verbose=False)


def load(path: str) -> tuple[float, dict[str, Answer]]:
    """Seconds until a model has answered nothing yet, and each signature's answers."""
    start = time.perf_counter()
    session = tf.compat.v1.Session(graph=tf.Graph())
    with session.graph.as_default():
        loaded = tf.compat.v1.saved_model.load(session, ["serve"], path)
    seconds = time.perf_counter() - start
    answers = {}
    for name in ("serving_default", "serve_tensors"):
        [taken] = loaded.signature_def[name].inputs.values()
        given = [output.name for output in loaded.signature_def[name].outputs.values()]
        answers[name] = session.make_callable(given, [taken.name])
    return seconds, answers


def compare(*actions: Callable[[], object]) -> list[float]:
    """Seconds of each action, the median; they are taken by turns, and their order turns too."""
    for action in actions:
        action()
    seconds: list[list[float]] = [[] for _ in actions]
    end = time.perf_counter() + SECONDS
    while time.perf_counter() < end or len(seconds[0]) < 3:
        turn = len(seconds[0]) % len(actions)
        for index in (*range(turn, len(actions)), *range(turn)):
            start = time.perf_counter()
            actions[index]()
            seconds[index].append(time.perf_counter() - start)
    return [statistics.median(taken) for taken in seconds]


def size(path: str) -> int:
    """Bytes of all files."""
    return sum(file.stat().st_size for file in Path(path).rglob("*") if file.is_file())


def row(what: str, figures: Iterable[float], unit: str) -> None:
    """Prints a figure of both, the plain export's first, and their ratio."""
    plain, served = figures
    print(f"  {what:<38}{plain:>10.2f}{served:>10.2f} {unit:<9}{served / plain:>6.2f}", flush=True)


def measure(network: str, side: int, classes: int, work: Path) -> None:
    """Prints the rows of a network."""
    keras.utils.set_random_seed(1)
    model = fishnet.build(network, classes, (side, side, 3), stem="small")
    transform_output = untrained.analyze(str(work / f"transform-{side}"), side)
    names = [str(index) for index in range(classes)]
    paths = str(work / f"{network}-plain"), str(work / f"{network}-served")
    plain_export(model, transform_output, names, paths[0])
    export(model, transform_output, names, paths[1])
    weights = 4 * model.count_params()
    print(
        f"{network}, {side}×{side}, weights {weights / 1e6:.2f} MB", f"{'plain':>18}{'served':>10}"
    )
    row("size", (size(path) / 1e6 for path in paths), "MB")
    row("graph", ((size(path) - weights) / 1e6 for path in paths), "MB beyond weights")

    loaded = [[load(path) for path in paths] for _ in range(LOADS)]
    row("load", (min(turn[i][0] for turn in loaded) for i in (0, 1)), "s")
    plain, served = (answers for _, answers in loaded[-1])
    files = np.array(list(untrained.images(max(BATCH_SIZES), side)), object)
    pixels = np.random.default_rng(0).uniform(0, 255, (len(files), side, side, 3))
    inputs = {"serving_default": files, "serve_tensors": pixels.astype(np.float32)}
    first = []
    for answers in (plain, served):
        start = time.perf_counter()
        answers["serving_default"](files[:1])
        first.append(time.perf_counter() - start)
    row("first answer", first, "s")
    for batch in BATCH_SIZES:
        asked = {
            (kind, name): lambda answer=answers[name], value=value[:batch]: answer(value)
            for name, value in inputs.items()
            for kind, answers in (("plain", plain), ("served", served))
        }
        taken = dict(zip(asked, compare(*asked.values()), strict=True))
        for name in inputs:
            seconds = taken["plain", name], taken["served", name]
            row(f"{name}, batch {batch}", (1e3 * value for value in seconds), "ms")
            if batch > 1:
                row(f"{name}, batch {batch}", (batch / value for value in seconds), "images/s")
        forward, whole = taken["served", "serve_tensors"], taken["served", "serving_default"]
        print(f"  decoding adds to the forward pass, batch {batch}: {whole / forward - 1:.0%}")


def main() -> None:
    """Prints a table for each network."""
    tf.get_logger().setLevel("ERROR")
    print(f"{os.cpu_count()} cores, TensorFlow {tf.__version__}")
    with tempfile.TemporaryDirectory() as folder:
        for network in NETWORKS:
            measure(*network, Path(folder))


if __name__ == "__main__":
    main()
