"""A training on two devices: a CPU that is divided in two, in a process of its own."""

import logging
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from forkserver import FORKSERVER
from tfx import v1 as tfx

from components.train import devices
from components.train.callbacks import StopOnNonFiniteLoss
from components.train.golden import read_golden
from components.train.run import run_fn
from served_model import interface


def train(fn_args: tfx.components.FnArgs, log: Path) -> None:
    """Has `devices` find two CPUs as it finds GPUs."""
    logging.basicConfig(filename=log, encoding="utf-8", level=logging.INFO, force=True)
    [cpu] = tf.config.list_physical_devices("CPU")
    halves = [tf.config.LogicalDeviceConfiguration()] * 2
    tf.config.set_logical_device_configuration(cpu, halves)
    mirrored = tf.distribute.MirroredStrategy(tf.config.list_logical_devices("CPU"))
    devices.strategy = lambda: mirrored
    run_fn(fn_args)

    with mirrored.scope():
        diverging = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        diverging.compile(keras.optimizers.SGD(1e20), "mse")
    batches = tf.data.Dataset.from_tensors((tf.ones([4, 1]), tf.zeros([4, 1]))).repeat(9)
    with pytest.raises(FloatingPointError, match=r"up to step [1-9]; a lower"):
        diverging.fit(batches, verbose=0, callbacks=[StopOnNonFiniteLoss()])


@pytest.mark.slow
def test_two_replicas(fn_args, tmp_path):
    args = fn_args()
    log = tmp_path / "log"
    process = FORKSERVER.Process(target=train, args=(args, log))
    process.start()
    process.join()
    lines = log.read_text("utf-8")
    assert process.exitcode == 0, lines
    assert "devices: 2\n" in lines
    assert "epoch 2/2 step 3/3 loss" in lines
    answers = read_golden(args.model_run_dir).answers[interface.PROBABILITIES]
    np.testing.assert_allclose(answers.sum(axis=1), 1, rtol=1e-5)
