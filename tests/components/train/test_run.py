import logging
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from run_arguments import HPARAMS, NAMES, NO_WEIGHTS, TINY

from components.train import run
from components.train.checkpoint import SaveCheckpoints
from components.train.golden import read_golden
from components.train.reuse import model_file
from components.train.run import run_fn
from components.train.training import build_model, compile_model
from components.train.warmup import read_warmup
from components.transform.class_table import read_class_table
from models import fishnet, keras_file, torch_checkpoint
from served_model import interface

pytestmark = pytest.mark.slow  # they run Beam


def test_loss_is_the_cross_entropy_of_logits_with_smoothed_labels():
    network = keras.Sequential([keras.Input((3,)), keras.layers.Dense(3), keras.layers.Flatten()])
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
    def folder(args, initial="") -> str:
        return run.find_checkpoints(args, initial).folder

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
    folders += [folder(other), folder(fn_args(), initial="digest of the first weights")]
    assert len(set(folders)) == 8


class Stopped(Exception):  # noqa: N818
    """In place of what a test has not run."""


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
    assert (
        "24 examples of 6 classes, 3 steps of 8 an epoch, float32: as configured, devices: 1"
        in caplog.text
    )
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

    file = model_file(args.serving_model_dir)
    about = keras_file.read_about(file)
    assert (about.network, about.stem, about.class_names) == ("fishnet_tiny", "small", NAMES)
    pixels = np.random.default_rng(1).uniform(0, 255, (2, 16, 16, 3)).astype(np.float32)
    logits = keras.models.load_model(file)((pixels - about.pixel_mean) / about.pixel_stddev)
    np.testing.assert_allclose(
        keras.ops.softmax(logits), loaded(tf.constant(pixels))["probabilities"], atol=1e-3
    )


@pytest.mark.parametrize("frozen", [False, True])
def test_training_starts_from_the_weights_it_is_given(fn_args, monkeypatch, tmp_path, frozen):
    def fit(model, *args, **kwargs):
        raise Stopped(model)

    source = fishnet.build("fishnet_tiny", 6, (16, 16, 3), stem="small")
    torch_checkpoint.save(source, tmp_path / "weights.npz")
    monkeypatch.setattr(keras.Model, "fit", fit)
    args = fn_args(freeze_backbone=frozen, backbone_rate=0.5)
    args.custom_config["weights"] = {**NO_WEIGHTS, "file": str(tmp_path / "weights.npz")}
    with pytest.raises(Stopped) as fitting:
        run_fn(args)
    [model] = fitting.value.args
    for ours, theirs in zip(model.get_weights(), source.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    trained = 2 if frozen else len(source.trainable_variables)
    assert len(model.trainable_variables) == trained
    assert model.optimizer._rates == (0.5,) * (trained - 2) + (1.0, 1.0)


def test_classifier_that_is_made_anew_is_the_same_whatever_the_files_format(
    fn_args, monkeypatch, tmp_path
):
    def fit(model, *args, **kwargs):
        raise Stopped(model.get_weights())

    source = fishnet.build("fishnet_tiny", 2, (16, 16, 3), stem="small")
    torch_checkpoint.save(source, tmp_path / "weights.npz")
    about = keras_file.About("fishnet_tiny", "small", ["a", "b"], [0.0] * 3, [1.0] * 3)
    keras_file.write(source, about, tmp_path / "weights.keras")
    monkeypatch.setattr(keras.Model, "fit", fit)
    weights = []
    for name in ("weights.npz", "weights.keras"):
        args = fn_args()
        args.custom_config["weights"] = {**NO_WEIGHTS, "file": str(tmp_path / name)}
        with pytest.raises(Stopped) as fitting:
            run_fn(args)
        weights.append(fitting.value.args[0])
    for ours, theirs in zip(*weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)


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
    made = {path.name for path in set(tmp_path.rglob("*")) - before if path.is_file()}
    assert made == ({"begun"} if number else set())
