"""Trainings that are killed or stopped at random moments, and go on.

There are few in a run of the tests; KILLS=30 in the environment makes them thirty.
"""

import glob
import logging
import os
import random
import re
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from forkserver import FORKSERVER
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tfx.components.trainer.fn_args_utils import FnArgs

from components.train import run

KILLS = int(os.environ.get("KILLS", "2"))
EPOCHS = 6
HALF_WRITTEN = ".epoch-*"
STOPPED = 130  # exit code
WAIT = 600  # seconds, after which a process hangs


class Training:
    """`run_fn` in a process of its own, whose log goes to a file."""

    def __init__(self, fn_args: FnArgs, log: Path) -> None:
        self.fn_args = fn_args
        self._log = log
        self._process = FORKSERVER.Process(target=train, args=(fn_args, log))
        self._process.start()

    def log(self) -> str:
        return self._log.read_text("utf-8") if self._log.exists() else ""

    def wait(self, seconds: float = WAIT) -> int | None:
        """The exit code; None if it goes on after so many seconds."""
        self._process.join(seconds)
        return self._process.exitcode

    def wait_until(self, condition: Callable[[], object], pause: float = 0.0) -> None:
        """Until `condition` holds, or the process has ended."""
        ends = time.monotonic() + WAIT
        while self._process.is_alive() and not condition():
            assert time.monotonic() < ends, f"hangs:\n{self.log()}"
            time.sleep(pause)

    def wait_until_begun(self) -> None:
        self.wait_until(lambda: " parameters, " in self.log(), pause=0.01)

    def epochs(self) -> int:
        """How many are over, as the log says."""
        return self.log().count(" step ")

    def resumed(self) -> int:
        """After which epoch; 0 if it begins anew."""
        found = re.search(r"resumes after epoch (\d)", self.log())
        return int(found[1]) if found else 0

    def checkpoints(self, pattern: str) -> list[Path]:
        folder = glob.escape(self.fn_args.custom_config["checkpoints"])
        # Not Path.glob, which raises where the training deletes a folder meanwhile.
        return [Path(found) for found in glob.glob(f"{folder}/*/{pattern}")]  # noqa: PTH207

    def send(self, signum: signal.Signals) -> int:
        """The exit code."""
        if self._process.is_alive():
            os.kill(self._process.pid, signum)
        return self.wait()


def train(fn_args: FnArgs, log: Path) -> None:
    """Runs `run_fn`, and keeps the weights that it exports: the export has them as constants."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # may be ignored in the background
    logging.basicConfig(filename=log, encoding="utf-8", level=logging.INFO, force=True)

    def export(model: keras.Model, *others: object) -> None:
        np.savez(weights_file(fn_args), **{w.path: w.numpy() for w in model.weights})
        exported(model, *others)

    exported, run.export = run.export, export
    try:
        run.run_fn(fn_args)
    except KeyboardInterrupt:
        sys.exit(STOPPED)


def weights_file(fn_args) -> Path:
    return Path(fn_args.model_run_dir).with_name("weights.npz")


def weights(fn_args) -> dict[str, np.ndarray]:
    with np.load(weights_file(fn_args)) as archive:
        return dict(archive)


def curves(fn_args) -> dict[tuple[str, str], list[tuple[int, float]]]:
    """(split, tag) → (step, value)s, of all that the training and not the machine decides."""
    found = {}
    for split in ("train", "validation"):
        events = EventAccumulator(f"{fn_args.model_run_dir}/{split}")
        events.Reload()
        for tag in set(events.Tags()["tensors"]) - {"epoch_images_per_second"}:
            points = [(e.step, float(tf.make_ndarray(e.tensor_proto))) for e in events.Tensors(tag)]
            found[split, tag] = points
    return found


@pytest.fixture
def start(fn_args, tmp_path):
    """Function: folder of checkpoints → another execution of the same training."""
    logs = (tmp_path / f"{number}.log" for number in range(1000))

    def start(checkpoints: str) -> Training:
        args = fn_args(epochs=EPOCHS, batch_size=1)
        args.custom_config["checkpoints"] = checkpoints and str(tmp_path / checkpoints)
        return Training(args, next(logs))

    return start


def interrupt(training: Training, signum: signal.Signals, chance: random.Random | None) -> str:
    """Sends a signal at a random moment, or within a save; returns what came of it."""
    before = set(training.checkpoints(HALF_WRITTEN))
    training.wait_until_begun()
    if chance:
        epochs = chance.randrange(4)  # as many, or all that are left
        moment = chance.uniform(0, 0.5 if epochs else 6)
        training.wait_until(
            lambda: training.epochs() in (epochs, EPOCHS - training.resumed()), 0.001
        )
        training.wait(moment)
        when = f"{moment:.2f} s after {epochs} epochs"
    else:
        when = "within a save"  # of which another one was before, to go on from
        training.wait_until(lambda: training.checkpoints("epoch-*"))
        training.wait_until(lambda: set(training.checkpoints(HALF_WRITTEN)) - before)
    training.send(signum)
    left = sorted(path.name[:12] for path in training.checkpoints("*"))
    event = f"{signum.name} {when}: exit code {training.wait()}, checkpoints {left}"
    return f"{training.resumed()} {event}"


@pytest.mark.slow
@pytest.mark.timeout(300 + 60 * KILLS)
def test_training_that_is_interrupted_ends_with_the_same_weights(start, tmp_path):
    whole = start(checkpoints="")
    assert whole.wait() == 0, whole.log()
    wanted, wanted_curves = weights(whole.fn_args), curves(whole.fn_args)
    assert len(wanted) > 100
    assert [step for step, _ in wanted_curves["train", "epoch_loss"]] == list(range(EPOCHS))

    seed = random.randrange(10**6)
    chance = random.Random(seed)
    events = [f"seed {seed}; after which epoch each resumed, and what became of it:"]
    kills = 0
    ended = False
    while kills < KILLS or not ended:
        training = start(checkpoints="checkpoints")
        if kills < KILLS:
            signum = (signal.SIGKILL, signal.SIGINT)[kills % 2]
            events.append(interrupt(training, signum, chance if kills % 3 else None))
        ended = training.wait() == 0
        kills += not ended
        if ended:  # be it before it was to be interrupted: the next one begins anew
            events.append(f"{training.resumed()} ended")
            np.testing.assert_equal(weights(training.fn_args), wanted, "\n".join(events))
            assert curves(training.fn_args) == wanted_curves, events
            assert not training.checkpoints("*"), events
        else:
            assert training.wait() in (-signal.SIGKILL, STOPPED), training.log()
    assert any(event[0] > "0" for event in events[1:]), events  # else all of them began anew
    (tmp_path / "events.txt").write_text("\n".join(events))
