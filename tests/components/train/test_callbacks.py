import json
import logging
import math
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from components.train import callbacks
from components.train.callbacks import (
    Progress,
    RecordHistory,
    StopOnNonFiniteLoss,
    write_history,
)


class Training:
    """Calls a callback as `fit` does, on a clock of its own."""

    def __init__(self, callback: keras.callbacks.Callback, steps: int, epochs: int) -> None:
        callback.set_params({"steps": steps, "epochs": epochs})
        self.now = 100.0
        self._callback, self._steps = callback, steps

    def epoch(self, epoch: int, first_step: float, other_steps: float, validation: float) -> None:
        """An epoch, with the seconds of its parts."""
        self._callback.on_epoch_begin(epoch)
        for step in range(self._steps):
            self.now += other_steps if step else first_step
            self._callback.on_train_batch_end(step, {"loss": 1 / (step + 1), "top1": 0.25})
        self.now += validation
        self._callback.on_epoch_end(epoch, {"loss": 0.5, "val_top1": 0.75})


@pytest.fixture
def lines(caplog):
    """Function: → the lines that were logged so far."""
    caplog.set_level(logging.INFO, logger="components")
    return lambda: [entry.getMessage() for entry in caplog.records]


@pytest.fixture
def training(monkeypatch):
    def start(steps: int, epochs: int, interval: float = 1000.0) -> Training:
        clock = SimpleNamespace(monotonic=lambda: 0.0)
        monkeypatch.setattr(callbacks, "time", clock)
        training = Training(Progress(batch_size=32, interval=interval), steps, epochs)
        clock.monotonic = lambda: training.now
        training._callback._logged_at = training.now
        return training

    return start


def test_each_epoch_is_told_with_its_speed_and_the_time_left(training, lines):
    run = training(steps=5, epochs=3)
    # neither the tracing in the first step nor the validation counts: 32 images take 2 s
    run.epoch(0, first_step=60, other_steps=2, validation=30)
    run.epoch(1, first_step=5, other_steps=4, validation=30)
    run.epoch(2, first_step=5, other_steps=2, validation=30)
    assert lines() == [
        "epoch 1/3 step 5/5 loss 0.5000 val_top1 0.7500 16 images/s 0:00:20 left",
        "epoch 2/3 step 5/5 loss 0.5000 val_top1 0.7500 8 images/s 0:00:20 left",
        "epoch 3/3 step 5/5 loss 0.5000 val_top1 0.7500 16 images/s 0:00:00 left",
    ]


def test_a_long_epoch_is_told_at_intervals(training, lines):
    training(steps=10, epochs=2, interval=7).epoch(0, 1, 2, validation=0)
    assert lines() == [
        "epoch 1/2 step 4/10 loss 0.2500 top1 0.2500 16 images/s 0:00:32 left",
        "epoch 1/2 step 8/10 loss 0.1250 top1 0.2500 16 images/s 0:00:24 left",
        "epoch 1/2 step 10/10 loss 0.5000 val_top1 0.7500 16 images/s 0:00:20 left",
    ]


def test_an_epoch_of_one_step_is_told_without_a_speed(training, lines):
    run = training(steps=1, epochs=2)
    run.epoch(0, 60, 0, validation=1)
    run.epoch(1, 1, 0, validation=1)
    assert lines() == [
        "epoch 1/2 step 1/1 loss 0.5000 val_top1 0.7500",
        "epoch 2/2 step 1/1 loss 0.5000 val_top1 0.7500",
    ]


def test_history_goes_on_after_the_epochs_before_and_is_written_whole(tmp_path):
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.25), "mse")
    history = [{"loss": 3.0, "learning_rate": 0.5}]
    model.fit(
        np.zeros([4, 1]),
        np.zeros([4, 1]),
        initial_epoch=1,
        epochs=3,
        verbose=0,
        callbacks=[RecordHistory(history)],
    )
    assert history[1:] == 2 * [{"loss": 0.0, "learning_rate": 0.25}]
    folder = tmp_path / "a run"
    write_history(str(folder), history)
    assert (folder / "history.csv").read_text("utf-8") == (
        "epoch,loss,learning_rate\n1,3.0,0.5\n2,0.0,0.25\n3,0.0,0.25\n"
    )
    lines = (folder / "history.jsonl").read_text("utf-8").splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == [1, 2, 3]
    assert json.loads(lines[0]) == {"epoch": 1, "loss": 3.0, "learning_rate": 0.5}


def test_history_has_the_speed_of_each_epoch_that_has_one(tmp_path):
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    history = []
    for first, images in ((0, 1), (1, 8)):
        callbacks = [Progress(batch_size=1), RecordHistory(history)]
        zeros = np.zeros([images, 1])
        epochs = {"initial_epoch": first, "epochs": first + 1}
        model.fit(zeros, zeros, batch_size=1, verbose=0, callbacks=callbacks, **epochs)
    assert "images_per_second" not in history[0]  # of one step
    assert history[1]["images_per_second"] > 0
    write_history(str(tmp_path), history)
    head, first, second = (tmp_path / "history.csv").read_text("utf-8").splitlines()
    assert head == "epoch,loss,images_per_second,learning_rate"
    assert first.split(",")[2] == ""
    assert float(second.split(",")[2]) == history[1]["images_per_second"]


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_training_stops_where_the_loss_is_not_finite(loss):
    callback = StopOnNonFiniteLoss()
    callback.set_model(SimpleNamespace(optimizer=SimpleNamespace(iterations=keras.Variable(1234))))
    with pytest.raises(FloatingPointError, match=rf"became {loss} within the 8 steps up to .*1234"):
        callback.on_train_batch_end(7, {"loss": loss})


def test_training_goes_on_while_the_loss_is_finite():
    StopOnNonFiniteLoss().on_train_batch_end(7, {"loss": 1e30})
    StopOnNonFiniteLoss().on_train_batch_end(7, None)


def test_training_that_diverges_is_stopped_by_fit():
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(optimizer=keras.optimizers.SGD(1e20), loss="mse")
    with pytest.raises(FloatingPointError, match=r"`trainer\.learning_rate`"):
        model.fit(
            np.ones([64, 1]),
            np.zeros([64, 1]),
            batch_size=4,
            verbose=0,
            callbacks=[StopOnNonFiniteLoss()],
        )
