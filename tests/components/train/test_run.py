import dataclasses
import logging
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from tfx import v1 as tfx

from components.train import run
from components.train.callbacks import Progress
from components.train.golden import read_golden
from components.train.run import build_model, compile_model, run_fn
from components.train.warmup import read_warmup
from components.transform.class_table import read_class_table
from pipeline.config import ModelConfig, TrainerConfig
from served_model import interface

HPARAMS = dataclasses.asdict(TrainerConfig(epochs=2, batch_size=8, warmup_epochs=1.0, shift=1))
TINY = dataclasses.asdict(ModelConfig("fishnet_tiny", stem="small"))
NAMES = ["ant", "bee", "cat", "dog", "eel", "fox"]


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


@pytest.fixture
def fn_args(tmp_path, examples, transform_output):
    """What TFX's Trainer gives to `run_fn`; each call is another execution."""
    executions = []

    def fn_args() -> tfx.components.FnArgs:
        executions.append(tmp_path / f"execution {len(executions)}")
        return tfx.components.FnArgs(
            train_files=examples,
            eval_files=examples,
            transform_output=transform_output._transform_output_dir,
            serving_model_dir=str(executions[-1] / "model"),
            model_run_dir=str(executions[-1] / "run"),
            custom_config={
                "trainer": HPARAMS,
                "model": TINY,
                "class_names": NAMES,
                "materialized": False,
                "record_bytes": 500.0,
                "checkpoints": str(tmp_path / "checkpoints"),
                "source": "0",
            },
        )

    return fn_args


def watch(seen: list[tuple[int, int]], interrupt: bool) -> type[keras.callbacks.Callback]:
    """Stands for Progress: notes each epoch and its first step, may interrupt before the second."""

    class Watch(Progress):
        def on_epoch_begin(self, epoch, logs=None):
            super().on_epoch_begin(epoch, logs)
            if interrupt and epoch == 1:
                raise KeyboardInterrupt
            seen.append((epoch, int(self.model.optimizer.iterations)))

    return Watch


@pytest.mark.slow
def test_interrupted_training_goes_on_where_it_was(fn_args, monkeypatch, caplog):
    seen: list[tuple[int, int]] = []
    monkeypatch.setattr(run, "Progress", watch(seen, interrupt=True))
    interrupted = fn_args()
    with pytest.raises(KeyboardInterrupt):
        run_fn(interrupted)
    assert seen == [(0, 0)]
    assert not Path(interrupted.serving_model_dir).exists()

    monkeypatch.setattr(run, "Progress", watch(seen, interrupt=False))
    caplog.set_level(logging.INFO, logger="components")
    resumed = fn_args()  # another execution has other folders
    run_fn(resumed)
    assert seen == [(0, 0), (1, 3)]  # 3 steps of 8 examples: the schedule goes on too
    assert "24 examples of 6 classes, 3 steps of 8 an epoch, float32, devices: 1" in caplog.text
    loaded = tf.saved_model.load(resumed.serving_model_dir).signatures["serve_tensors"]
    answer = loaded(tf.zeros([1, 16, 16, 3]))
    assert {name.decode() for name in answer[interface.CLASSES].numpy()[0]} < set(NAMES)
    golden = read_golden(resumed.model_run_dir)
    assert len(golden.images) == 24
    images = tf.saved_model.load(resumed.serving_model_dir).signatures["serving_default"]
    np.testing.assert_allclose(
        images(tf.constant(golden.images))[interface.PROBABILITIES],
        golden.answers[interface.PROBABILITIES],
        atol=1e-3,  # after six steps the sums are huge, and so is what rounding makes of them
    )
    assert len(read_warmup(resumed.serving_model_dir)) == 8
    # whoever trains the same again starts anew
    assert not list(Path(resumed.custom_config["checkpoints"]).glob("*/*"))


def checkpoint_folder(fn_args) -> str:
    [callback] = run._backup(fn_args)
    return callback.backup_dir


def test_checkpoint_is_found_by_the_same_training_and_no_other(fn_args):
    folder = checkpoint_folder(fn_args())
    assert checkpoint_folder(fn_args()) == folder
    for section, field, value in (
        ("trainer", "epochs", 3),
        ("trainer", "seed", 2),
        ("model", "name", "fishnet99"),
    ):
        other = fn_args()
        config = other.custom_config
        other.custom_config = {**config, section: {**config[section], field: value}}
        assert checkpoint_folder(other) != folder
    other = fn_args()
    other.train_files = ["elsewhere"]
    assert checkpoint_folder(other) != folder
    for field, value in (("source", "1"), ("class_names", NAMES[::-1])):
        other = fn_args()
        other.custom_config = {**other.custom_config, field: value}
        assert checkpoint_folder(other) != folder


@pytest.mark.parametrize(("folder", "number"), [("ckpt", 1), ("", 0)])
def test_training_is_backed_up_only_where_there_is_a_folder_for_it(
    fn_args, monkeypatch, tmp_path, folder, number
):
    class Fitting(Exception):  # noqa: N818
        """Instead of the training."""

    def fit(model, *args, callbacks, **kwargs):
        raise Fitting(callbacks)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(keras.Model, "fit", fit)
    args = fn_args()
    args.custom_config["checkpoints"] = folder
    before = set(tmp_path.rglob("*"))
    with pytest.raises(Fitting) as fitting:
        run_fn(args)
    [callbacks] = fitting.value.args
    assert sum(isinstance(c, keras.callbacks.BackupAndRestore) for c in callbacks) == number
    assert set(tmp_path.rglob("*")) == before
