import logging
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from run_arguments import HPARAMS, NAMES, TINY

from components.train import run
from components.train.checkpoint import SaveCheckpoints
from components.train.golden import read_golden
from components.train.run import build_model, compile_model, run_fn
from components.train.warmup import read_warmup
from components.transform.class_table import read_class_table
from served_model import interface

pytestmark = pytest.mark.slow  # they run Beam


@pytest.fixture
def network():
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((4, 4, 3)),
            keras.layers.Conv2D(2, 3, name="conv"),
            keras.layers.BatchNormalization(name="norm"),
            keras.layers.Flatten(),
            keras.layers.Dense(3, name="classes"),
        ]
    )


@pytest.mark.parametrize(
    ("warmup_epochs", "warmup_steps"), [(0.0, 0), (1.0, 10), (0.25, 2), (99.0, 20)]
)
def test_schedule_spans_the_whole_training(network, warmup_epochs, warmup_steps):
    compile_model(network, {**HPARAMS, "warmup_epochs": warmup_epochs}, steps=10)
    schedule = network.optimizer._learning_rate
    assert schedule.total_steps == 20
    assert schedule.warmup_steps == warmup_steps
    assert schedule.peak == HPARAMS["learning_rate"]


def test_weight_decay_shrinks_kernels_and_spares_biases_and_batch_normalisation(network):
    compile_model(network, HPARAMS, steps=10)
    for variable in network.trainable_variables:
        variable.assign(np.ones(variable.shape))
    no_gradient = [np.zeros(variable.shape) for variable in network.trainable_variables]
    network.optimizer.apply(no_gradient)
    shrunk = {
        (v.path.split("/")[-2], v.name)
        for v in network.trainable_variables
        if (v < 1).numpy().all()
    }
    assert shrunk == {("conv", "kernel"), ("classes", "kernel")}


def test_loss_is_the_cross_entropy_of_logits_with_smoothed_labels(network):
    compile_model(network, {**HPARAMS, "label_smoothing": 0.3}, steps=10)
    logits = np.array([[2.0, -1.0, 0.5]], np.float32)
    target = np.array([[0.8, 0.1, 0.1]])
    wanted = -(target * np.log(np.exp(logits) / np.exp(logits).sum())).sum()
    assert float(network.loss(np.array([[1.0, 0, 0]]), logits)) == pytest.approx(wanted, rel=1e-5)


def test_network_fits_the_images_and_classes_of_the_data(transform_output):
    classes = read_class_table(transform_output)
    model = build_model(TINY, transform_output, classes, "float32")
    assert model.input_shape == (None, 16, 16, 3)
    assert model.output_shape == (None, 6)


def test_checkpoint_is_found_by_the_same_training_and_no_other(fn_args):
    def folder(args) -> str:
        return run._checkpoints(args).folder

    assert folder(fn_args()) == folder(fn_args())  # another execution has other folders
    folders = [folder(fn_args()), folder(fn_args(epochs=3)), folder(fn_args(seed=2))]
    for field, value in (
        ("model", {**TINY, "name": "fishnet99"}),
        ("source", "1"),
        ("class_names", NAMES[::-1]),
    ):
        other = fn_args()
        other.custom_config = {**other.custom_config, field: value}
        folders.append(folder(other))
    other = fn_args()
    other.train_files = ["elsewhere"]
    folders.append(folder(other))
    assert len(set(folders)) == 7


class Stopped(Exception):  # noqa: N818
    """In place of what a test has not run."""


@pytest.mark.slow
def test_checkpoints_stay_until_the_golden_answers_are_written(fn_args, monkeypatch, caplog):
    """A full disk while the model is exported, say, must not cost the training."""
    caplog.set_level(logging.INFO, logger="components")

    def stop(*_: object) -> None:
        raise Stopped

    with monkeypatch.context() as patched, pytest.raises(Stopped):
        patched.setattr(run, "write_golden", stop)
        run_fn(fn_args())
    args = fn_args()
    folder = Path(args.custom_config["checkpoints"])
    assert len(list(folder.glob("*/epoch-*"))) == 2
    run_fn(args)
    assert "24 examples of 6 classes, 3 steps of 8 an epoch, float32, devices: 1" in caplog.text
    assert "resumes after epoch 2" in caplog.text
    assert not list(folder.iterdir())  # whoever trains the same again starts anew

    loaded = tf.saved_model.load(args.serving_model_dir).signatures["serve_tensors"]
    answer = loaded(tf.zeros([1, 16, 16, 3]))
    assert {name.decode() for name in answer[interface.CLASSES].numpy()[0]} < set(NAMES)
    golden = read_golden(args.model_run_dir)
    assert len(golden.images) == 24
    images = tf.saved_model.load(args.serving_model_dir).signatures["serving_default"]
    np.testing.assert_allclose(
        images(tf.constant(golden.images))[interface.PROBABILITIES],
        golden.answers[interface.PROBABILITIES],
        atol=1e-3,  # after six steps the sums are huge, and so is what rounding makes of them
    )
    assert len(read_warmup(args.serving_model_dir)) == 8


@pytest.mark.parametrize(("folder", "number"), [("ckpt", 1), ("", 0)])
def test_training_is_backed_up_only_where_there_is_a_folder_for_it(
    fn_args, monkeypatch, tmp_path, folder, number
):
    def fit(model, *args, callbacks, **kwargs):
        raise Stopped(callbacks)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(keras.Model, "fit", fit)
    args = fn_args()
    args.custom_config["checkpoints"] = folder
    before = set(tmp_path.rglob("*"))
    with pytest.raises(Stopped) as fitting:
        run_fn(args)
    [callbacks] = fitting.value.args
    assert sum(isinstance(c, SaveCheckpoints) for c in callbacks) == number
    assert set(tmp_path.rglob("*")) == before
