"""Images per second of the networks on this machine: forward pass and training step.

Run: python benchmarks/bench_networks.py [NET ...]
"""

import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras
import tensorflow as tf

from models import configs, fishnet

NETWORKS = ("fishnet_tiny", "fishnet_simple", "fishnet99")
SIDE = 64
BATCH_SIZE = 64
CLASSES = 200
REPEATS = 5


def images_per_second(step: Callable[[], object]) -> float:
    """Median over `REPEATS` calls of `step`, which takes a batch; the first call is not counted."""
    step()
    seconds = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - start)
    return BATCH_SIZE / statistics.median(seconds)


def measure(name: str, stem: str) -> tuple[int, float, float]:
    """Parameters, images/s forward and images/s training of a network."""
    model = fishnet.build(name, CLASSES, (SIDE, SIDE, 3), stem=stem, dtype="float32")
    model.compile(
        keras.optimizers.SGD(0.01, momentum=0.9),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=False,
    )
    model.optimizer.build(model.trainable_variables)
    images = tf.random.normal([BATCH_SIZE, SIDE, SIDE, 3])
    labels = tf.zeros([BATCH_SIZE], tf.int64)
    forward = tf.function(lambda: model(images, training=False))
    return (
        model.count_params(),
        images_per_second(forward),
        images_per_second(lambda: model.train_on_batch(images, labels)),
    )


def main() -> None:
    """Prints a row for each network and stem."""
    device = tf.config.list_physical_devices("GPU") or f"CPU, {os.cpu_count()} cores"
    print(f"{platform.platform()}, {device}, TensorFlow {tf.__version__}, batch {BATCH_SIZE}")
    print(f"{'network':<16}{'stem':<11}{'parameters':>12}{'forward/s':>11}{'training/s':>12}")
    for name in sys.argv[1:] or NETWORKS:
        for stem in configs.STEM_STRIDES:
            parameters, forward, training = measure(name, stem)
            print(f"{name:<16}{stem:<11}{parameters:>12,}{forward:>11.0f}{training:>12.0f}")


if __name__ == "__main__":
    main()
