"""Images per second of the networks on this machine: forward pass and training step.

The step with Keras's own batch normalisation, and with the fused one that the Trainer uses; their
steps take turns, so that others' load hits both.

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
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # as local_runner.py does

import keras
import tensorflow as tf

from components.train.fused_batch_norm import FusedBatchNormalization
from models import configs, fishnet

NETWORKS = ("fishnet_tiny", "fishnet_simple", "fishnet99")
SIDE = 64
BATCH_SIZE = 64
CLASSES = 200
REPEATS = 5


def images_per_second(*steps: Callable[[], object]) -> list[float]:
    """Of each step, which takes a batch: the median over `REPEATS` calls in turns, after one."""
    seconds: list[list[float]] = [[] for _ in steps]
    for step in steps:
        step()
    for _ in range(REPEATS):
        for step, taken in zip(steps, seconds, strict=True):
            start = time.perf_counter()
            step()
            taken.append(time.perf_counter() - start)
    return [BATCH_SIZE / statistics.median(taken) for taken in seconds]


def built(name: str, stem: str, batch_norm: type[keras.layers.BatchNormalization]) -> keras.Model:
    """A network that can be trained."""
    model = fishnet.build(
        name, CLASSES, (SIDE, SIDE, 3), stem=stem, dtype="float32", batch_norm=batch_norm
    )
    model.compile(
        keras.optimizers.SGD(0.01, momentum=0.9),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=False,
    )
    model.optimizer.build(model.trainable_variables)
    return model


def measure(name: str, stem: str) -> tuple[int, list[float]]:
    """Parameters; images/s forward, training with Keras's batch normalisation, and with ours."""
    plain = built(name, stem, keras.layers.BatchNormalization)
    fused = built(name, stem, FusedBatchNormalization)
    images = tf.random.normal([BATCH_SIZE, SIDE, SIDE, 3])
    labels = tf.zeros([BATCH_SIZE], tf.int64)
    forward = tf.function(lambda: fused(images, training=False))
    return fused.count_params(), images_per_second(
        forward,
        lambda: plain.train_on_batch(images, labels),
        lambda: fused.train_on_batch(images, labels),
    )


def main() -> None:
    """Prints a row for each network and stem."""
    device = tf.config.list_physical_devices("GPU") or f"CPU, {os.cpu_count()} cores"
    print(f"{platform.platform()}, {device}, TensorFlow {tf.__version__}, batch {BATCH_SIZE}")
    columns = f"{'forward/s':>11}{'Keras BN/s':>12}{'fused BN/s':>12}"
    print(f"{'network':<16}{'stem':<11}{'parameters':>12}{columns}")
    for name in sys.argv[1:] or NETWORKS:
        for stem in configs.STEM_STRIDES:
            parameters, (forward, plain, fused) = measure(name, stem)
            row = f"{name:<16}{stem:<11}{parameters:>12,}{forward:>11.0f}"
            print(f"{row}{plain:>12.0f}{fused:>12.0f}")


if __name__ == "__main__":
    main()
