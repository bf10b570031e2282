"""A training on two devices: a CPU that is divided in two, in a process of its own."""

import dataclasses
import logging
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from forkserver import FORKSERVER
from tfx.components.trainer.fn_args_utils import FnArgs

from components.train import devices
from components.train.callbacks import StopOnNonFiniteLoss
from components.train.fused_batch_norm import FusedBatchNormalization
from components.train.golden import read_golden
from components.train.optimizer import optimizer
from components.train.run import run_fn
from pipeline.training_config import TrainerConfig
from served_model import interface


def two_cpus() -> tf.distribute.Strategy:
    """Over this process's CPU, divided in two."""
    [cpu] = tf.config.list_physical_devices("CPU")
    halves = [tf.config.LogicalDeviceConfiguration()] * 2
    tf.config.set_logical_device_configuration(cpu, halves)
    return tf.distribute.MirroredStrategy(tf.config.list_logical_devices("CPU"))


def train(fn_args: FnArgs, log: Path) -> None:
    """Has `devices` find two CPUs as it finds GPUs."""
    logging.basicConfig(filename=log, encoding="utf-8", level=logging.INFO, force=True)
    mirrored = two_cpus()
    devices.strategy = lambda: mirrored
    run_fn(fn_args)

    with mirrored.scope():
        diverging = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        diverging.compile(keras.optimizers.SGD(1e20), "mse")
    batches = tf.data.Dataset.from_tensors((tf.ones([4, 1]), tf.zeros([4, 1]))).repeat(9)
    with pytest.raises(FloatingPointError, match=r"up to step [1-9]; a lower"):
        diverging.fit(batches, verbose=0, callbacks=[StopOnNonFiniteLoss()])


def normalise(log: Path) -> None:
    """Two replicas see halves of a batch: 0 and 2, 10 and 14; the first one's moments count."""
    mirrored = two_cpus()
    batch = tf.reshape(tf.constant([0.0, 2.0, 10.0, 14.0]), [4, 1, 1, 1])
    for synchronized, mean, variance in ((False, 1.0, 2.0), (True, 6.5, 32.75)):
        with mirrored.scope():
            layer = FusedBatchNormalization(momentum=0.0, synchronized=synchronized)
            layer.build([None, 1, 1, 1])
        [halves] = mirrored.experimental_distribute_dataset(
            tf.data.Dataset.from_tensors(batch).unbatch().batch(4)
        )
        mirrored.run(tf.function(lambda x, layer=layer: layer(x, training=True)), (halves,))
        np.testing.assert_allclose(layer.moving_mean, [mean])
        np.testing.assert_allclose(layer.moving_variance, [variance])
    log.write_text("done", "utf-8")


def clip(log: Path) -> None:
    """The gradient is that of the whole batch; the replicas' parts are 5 and 5, 5 and -1, …"""
    mirrored = two_cpus()
    hparams = TrainerConfig(
        clip_norm=1.0, momentum=0.0, weight_decay=0.0, warmup_epochs=0.0, schedule="constant"
    )
    for targets, gradient in (([-5, -5], 1.0), ([-5, 1], 1.0), ([-5, 4.5], 0.5)):
        with mirrored.scope():
            model = keras.Sequential(
                [
                    keras.Input((1,)),
                    keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros"),
                ]
            )
            model.compile(optimizer(dataclasses.asdict(hparams), steps=1), "mse")
        batch = tf.ones([2, 1]), tf.constant(targets, tf.float32, [2, 1])
        model.fit(tf.data.Dataset.from_tensors(batch), verbose=0)
        np.testing.assert_allclose(model.get_weights()[0], [[-0.1 * gradient]], rtol=1e-5)
    log.write_text("done", "utf-8")


@pytest.mark.slow
@pytest.mark.parametrize("whole", [normalise, clip])
def test_moments_and_clipped_gradients_are_those_of_the_whole_batch(tmp_path, whole):
    process = FORKSERVER.Process(target=whole, args=(tmp_path / "log",))
    process.start()
    process.join()
    assert process.exitcode == 0
    assert (tmp_path / "log").read_text("utf-8") == "done"


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
