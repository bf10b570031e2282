"""What images without an EXIF tag pay for the look at whether they have one.

The image graph as it is and as it would be if no image had a tag, loaded as TF Serving loads them,
are run by turns on the same files. Figures are microseconds an image, all that the image graph does
(decode, crop, resize), the least of the turns; first what the processors spent, which other
programs disturb least, then what passed.

Run: python benchmarks/bench_orientation.py [tiny-imagenet-200-20classes.zip], by default on
generated images of 64×64.
"""

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import numpy as np
import tensorflow as tf
from bench_dataprep import read_images

from components.transform.image import decode_and_resize, resize_as_stored

SIDE = 64  # pixels
BATCHES = {1: 300, 32: 40, 128: 10}  # images → batches of so many in a turn
TURNS = 40
GRAPHS = {"stored": resize_as_stored, "upright": decode_and_resize}

Run = Callable[[np.ndarray], object]


def load() -> dict[str, Run]:
    """The graphs by their names, each from files to pixels."""

    def traced(graph: Callable[..., tf.Tensor]) -> tf.types.experimental.GenericFunction:
        return tf.function(
            lambda files: {"pixels": graph(files, SIDE, SIDE)},
            input_signature=[tf.TensorSpec([None], tf.string)],
        )

    with tempfile.TemporaryDirectory() as folder:
        signatures = {name: traced(graph) for name, graph in GRAPHS.items()}
        tf.saved_model.save(tf.Module(), folder, signatures=signatures)
        session = tf.compat.v1.Session(graph=tf.Graph())
        with session.graph.as_default():
            loaded = tf.compat.v1.saved_model.load(session, ["serve"], folder).signature_def
    return {
        name: session.make_callable(
            loaded[name].outputs["pixels"].name, [loaded[name].inputs["files"].name]
        )
        for name in GRAPHS
    }


def measure(run: Run, batches: list[np.ndarray]) -> tuple[float, float]:
    """Microseconds of processors and of the clock, for an image."""
    images = sum(map(len, batches))
    clock, processors = time.perf_counter(), time.process_time()
    for batch in batches:
        run(batch)
    spent = time.process_time() - processors, time.perf_counter() - clock
    return 1e6 * spent[0] / images, 1e6 * spent[1] / images


def main() -> None:
    """Prints a line for each size of a batch."""
    images = read_images(Path(sys.argv[1]) if sys.argv[1:] else None)
    files = images[: max(n * m for n, m in BATCHES.items())]
    graphs = load()
    print(f"{os.cpu_count()} cores, TensorFlow {tf.__version__}, {len(files):,} files")
    for size, number in BATCHES.items():
        batches = [np.array(files[i * size : (i + 1) * size], object) for i in range(number)]
        turns: dict[str, list[tuple[float, float]]] = {name: [] for name in graphs}
        for turn in range(TURNS):
            for name in sorted(graphs, reverse=bool(turn % 2)):
                turns[name].append(measure(graphs[name], batches))
        stored, upright = (np.min(turns[name], axis=0) for name in GRAPHS)
        print(
            f"batch {size:>3}: stored {stored[0]:6.1f} {stored[1]:6.1f}, "
            f"upright {upright[0]:6.1f} {upright[1]:6.1f}, "
            f"more by {upright[0] / stored[0] - 1:+.1%} {upright[1] / stored[1] - 1:+.1%}"
        )


if __name__ == "__main__":
    main()
