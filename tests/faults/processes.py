"""What the processes of test_push_under_fire.py do."""

import itertools
import os
import tempfile
from pathlib import Path

import numpy as np
import tensorflow as tf
from tfx.types import standard_artifacts

from components.push.pusher import Executor
from served_model.versions import VersionFolder

VALUE = 7.0  # of each of the model's weights
WEIGHTS = 2 << 20  # 8 MiB


def write_model(uri: Path) -> None:
    """Writes a Model artifact whose one signature gives its weights' least and greatest."""
    module = tf.Module()
    module.weights = tf.Variable(tf.fill([WEIGHTS], VALUE))

    @tf.function(input_signature=[])
    def extremes() -> dict[str, tf.Tensor]:
        return {
            "extremes": tf.stack([tf.reduce_min(module.weights), tf.reduce_max(module.weights)])
        }

    tf.saved_model.save(module, str(uri / "Format-Serving"), signatures=extremes)


def push(uri: Path, base: Path, keep: int, started=None) -> None:
    """Runs Pusher on the Model artifact at `uri`; says on `started` when it begins."""
    model, blessing = standard_artifacts.Model(), standard_artifacts.ModelBlessing()
    model.uri = str(uri)
    blessing.set_int_custom_property("blessed", 1)
    pushed = standard_artifacts.PushedModel()
    with tempfile.TemporaryDirectory() as pushed.uri:
        if started:
            started.send(None)
        Executor().Do(
            {"model": [model], "model_blessing": [blessing]},
            {"pushed_model": [pushed]},
            {
                "destination": str(base),
                "keep_versions": keep,
                "source": "",
                "pipeline": "fishnet",
                "run": "of a test",
            },
        )


def roll_back(to: int, base: Path, keep: int, started) -> None:
    """Does what the operator's commands do."""
    started.send(None)
    VersionFolder(base).rollback(to)
    VersionFolder(base).prune(keep)


def poll(base: Path, stop, results) -> None:
    """Loads the highest version again and again, as TF Serving finds and loads it.

    Sends how often it loaded which version, and what went wrong.
    """
    loads: dict[int, int] = {}
    failures: list[str] = []
    while not stop.is_set():
        version = max(int(name) for name in os.listdir(base) if name.isdecimal())  # noqa: PTH208
        try:
            with tf.compat.v1.Session(graph=tf.Graph()) as session:
                model = tf.compat.v1.saved_model.load(session, ["serve"], f"{base}/{version}")
                [output] = model.signature_def["serving_default"].outputs.values()
                np.testing.assert_array_equal(session.run(output.name), [VALUE, VALUE])
            loads[version] = loads.get(version, 0) + 1
        except Exception as error:
            failures.append(f"{version}: {type(error).__name__}: {error}")
    results.send((loads, failures))


_numbers = itertools.count()


def change(uri: Path) -> None:
    """Makes the model at `uri` another one that gives the same answers."""
    extra = uri / "Format-Serving" / "assets.extra"
    extra.mkdir(exist_ok=True)
    (extra / "number").write_text(str(next(_numbers)))
