"""Training against its limits: input pipeline and bare JPEG decoding, `fit` and the bare step.

Run: python benchmarks/bench_training.py OUTPUT [NETWORK [STEM [BATCH]]], where OUTPUT is the folder
of a run that had ImportExampleGen and Transform. What is measured takes turns, three times. The
first batch, before which the shuffle buffer is filled, is not timed.
"""

import dataclasses
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # as local_runner.py does

import keras
import tensorflow as tf
import tensorflow_transform as tft

from components.train import devices, order
from components.train.callbacks import SPEED, Progress, StopOnNonFiniteLoss
from components.train.fused_batch_norm import FusedBatchNormalization
from components.train.input import Input
from components.train.recipe import augmentation
from components.train.training import compile_model
from components.transform import transformed
from dataset import record
from models import fishnet
from pipeline.training_config import AugmentConfig, TrainerConfig

CLASSES = 200
STEPS = 40  # of a measurement
REPEATS = 3


def newest(output: Path, pattern: str) -> Path:
    """The folder of the last execution."""
    return max(output.glob(f"artifacts/{pattern}"), key=lambda folder: int(folder.name))


def drain(batches: Iterable[object], batch: int) -> float:
    """Images per second of `STEPS` of `batches`, after one of them."""
    iterator = iter(batches)
    next(iterator)
    start = time.perf_counter()
    for _ in range(STEPS):
        next(iterator)
    return STEPS * batch / (time.perf_counter() - start)


def main() -> None:
    """Prints each figure and what share of its limit it is."""
    output = Path(sys.argv[1])
    name, stem, size = [*sys.argv[2:], *("fishnet_simple", "published", "128")[len(sys.argv) - 2 :]]
    batch = int(size)
    transform = tft.TFTransformOutput(str(newest(output, "Transform/transform_graph/*")))
    files = [str(newest(output, "ImportExampleGen/examples/*") / "Split-train" / "*")]
    inputs = Input(transform, CLASSES, materialized=False)
    trainer = TrainerConfig()

    def examples() -> tf.data.Dataset:
        return order.shuffled(files, STEPS * batch, 1, 10_000, range(3)).repeat()

    def decode(serialized: tf.Tensor) -> tf.Tensor:
        spec = {record.IMAGE: tf.io.FixedLenFeature([], tf.string)}
        image = tf.io.parse_single_example(serialized, spec)[record.IMAGE]
        return tf.io.decode_jpeg(image, channels=3)

    bare_decoding = examples().map(decode, tf.data.AUTOTUNE).batch(batch).prefetch(tf.data.AUTOTUNE)
    changes = augmentation(dataclasses.asdict(trainer), dataclasses.asdict(AugmentConfig()), STEPS)
    training = inputs.training(examples(), batch, changes)

    shape = transform.transformed_feature_spec()[transformed.PIXELS].shape
    precision = devices.precision(trainer.precision)
    model = fishnet.build(
        name,
        CLASSES,
        shape,
        stem=stem,
        batch_norm=FusedBatchNormalization,
        dtype=precision.dtype_policy,
    )
    compile_model(model, dataclasses.asdict(trainer), STEPS)
    pixels, labels = next(iter(training))
    in_memory = tf.data.Dataset.from_tensors((pixels, labels)).repeat()
    callbacks = [Progress(batch), StopOnNonFiniteLoss()]

    def steps() -> Iterator[object]:
        while True:
            yield model.train_on_batch(pixels, labels)

    def fit(data: tf.data.Dataset) -> float:
        fitted = model.fit(data, steps_per_epoch=STEPS, verbose=0, callbacks=callbacks)
        return fitted.history[SPEED][0]

    runs: dict[str, Callable[[], float]] = {
        "bare JPEG decoding": lambda: drain(bare_decoding, batch),
        "input pipeline": lambda: drain(training, batch),
        "bare step": lambda: drain(steps(), batch),
        "fit, batch in memory": lambda: fit(in_memory),
        "fit": lambda: fit(training),
    }
    for run in runs.values():  # traces, fills caches
        run()
    rounds = [{what: run() for what, run in runs.items()} for _ in range(REPEATS)]
    print(f"{name}, {stem} stem, batch {batch}, {precision}")
    print(f"{os.cpu_count()} cores, Keras {keras.__version__}")
    limits = {
        "input pipeline": "bare JPEG decoding",
        "fit, batch in memory": "bare step",
        "fit": "bare step",
    }
    for what in runs:
        figure = statistics.median(row[what] for row in rounds)
        share = ""
        if limit := limits.get(what):
            ratio = statistics.median(row[what] / row[limit] for row in rounds)
            share = f"  {ratio:.0%} of {limit}"
        print(f"{what:<22}{figure:>9,.0f} images/s{share}")


if __name__ == "__main__":
    main()
