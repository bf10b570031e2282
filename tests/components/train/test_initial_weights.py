"""What a training starts from: which files are taken, and what is refused."""

import hashlib
import logging
from pathlib import Path

import keras
import numpy as np
import pytest
from run_arguments import NO_WEIGHTS

from components.train import initial_weights
from components.train.fused_batch_norm import FusedBatchNormalization
from models import fishnet, keras_file, torch_checkpoint

NAMES = ["ant", "bee", "cat"]
TINY = {"name": "fishnet_tiny", "stem": "small", "width": 1, "depth": 1}
ABOUT = keras_file.About("fishnet_tiny", "small", NAMES, [1.0] * 3, [2.0] * 3)


def build(classes: int, name: str = "fishnet_tiny", **options: object) -> keras.Model:
    return fishnet.build(name, classes, (16, 16, 3), stem="small", **options)


@pytest.fixture(scope="module")
def source():
    """A network each of whose weights is another than in a new one."""
    keras.utils.set_random_seed(1)
    network = build(3)
    network.set_weights([weight + 0.5 for weight in network.get_weights()])
    return network


@pytest.fixture(scope="module", params=["weights.keras", "weights.npz"])
def file(request, source, tmp_path_factory):
    path = tmp_path_factory.mktemp("of an earlier run") / request.param
    if path.suffix == ".keras":
        keras_file.write(source, ABOUT, path)
    else:
        torch_checkpoint.save(source, path)
    return str(path)


def read(file: str, **fields: object) -> initial_weights.InitialWeights:
    return initial_weights.read({**NO_WEIGHTS, "file": file, **fields}, None)


def differing(model: keras.Model, other: keras.Model) -> set[str]:
    """Names of the layers of which a weight differs."""
    return {
        layer.name
        for layer, its in zip(model.layers, other.layers, strict=True)
        for ours, theirs in zip(layer.get_weights(), its.get_weights(), strict=True)
        if not np.array_equal(ours, theirs)
    }


def test_the_network_to_be_trained_gets_every_weight(file, source, caplog):
    caplog.set_level(logging.INFO, logger="components")
    model = build(3, batch_norm=FusedBatchNormalization, dtype="mixed_bfloat16")
    initial = read(file)
    initial.check(model, TINY)
    initial.assign(model, NAMES)
    assert not differing(model, source)
    assert f"starts from {file}, the same classes" in caplog.text


def test_classifier_is_made_anew_for_another_number_of_classes_and_it_is_said(file, source, caplog):
    caplog.set_level(logging.INFO, logger="components")
    model = build(5)
    before = fishnet.classifier(model).get_weights()
    initial = read(file)
    initial.check(model, TINY)
    initial.assign(model, ["a", "b", "c", "d", "e"])
    for old, new in zip(before, fishnet.classifier(model).get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    backbone, its = (keras.Model(m.input, m.layers[-3].output) for m in (model, source))
    assert not differing(backbone, its)
    assert "its classifier is made anew" in caplog.text


@pytest.mark.parametrize("names", [["ant", "bee", "dog"], ["bee", "ant", "cat"]])
def test_classifier_is_made_anew_for_other_classes_where_the_file_names_its_own(
    names, source, tmp_path
):
    keras_file.write(source, ABOUT, tmp_path / "model.keras")
    model = build(3)
    read(str(tmp_path / "model.keras")).assign(model, names)
    assert differing(model, source) == {fishnet.classifier(model).name}


def test_weights_of_another_network_are_refused(file):
    simple = {**TINY, "name": "fishnet_simple"}
    with pytest.raises(ValueError, match="fishnet_simple") as refusal:
        read(file).check(build(3, "fishnet_simple"), simple)
    message = str(refusal.value)
    assert message.startswith(f"{file}: ")
    assert "--model.name" in message
    if file.endswith(".keras"):
        assert "Give --model.name fishnet_tiny, or other weights" in message
    else:
        assert message.count("\n  ") == initial_weights.SHOWN + 1
        assert "\n  missing: fish.fish." in message


@pytest.mark.parametrize(("field", "value"), [("stem", "published"), ("width", 2), ("depth", 0.5)])
def test_network_of_another_shape_is_refused_where_the_file_names_its_own(
    source, tmp_path, field, value
):
    keras_file.write(source, ABOUT, tmp_path / "model.keras")
    theirs = getattr(ABOUT, field)
    shown = theirs if field == "stem" else f"{theirs:g}"
    both = rf"holds .*{field} {shown}.*; this training is of .*{field} {value}.*\."
    advice = rf"Give --model\.{field} {theirs}, or other weights"
    with pytest.raises(ValueError, match=f"{both} {advice}"):
        read(str(tmp_path / "model.keras")).check(source, {**TINY, field: value})


def test_digest_is_that_of_the_content(file):
    sha256 = hashlib.sha256(Path(file).read_bytes()).hexdigest()
    assert read(file).sha256 == sha256
    assert read(file, sha256=sha256).sha256 == sha256
    with pytest.raises(ValueError, match="has changed since this run began"):
        read(file, sha256="0" * 64)


@pytest.mark.parametrize("suffix", [".keras", ".npz"])
@pytest.mark.parametrize("content", [b"", b"no weights", b"PK\3\4 cut off"])
def test_damaged_files_are_refused_by_name(suffix, content, tmp_path):
    path = tmp_path / f"weights{suffix}"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"^{path}: cannot be read as weights"):
        read(str(path))


def test_keras_files_of_others_are_refused(source, tmp_path):
    source.save(tmp_path / "model.keras")
    with pytest.raises(ValueError, match=r"must be a \.keras file that this project wrote"):
        read(str(tmp_path / "model.keras"))


def test_missing_file_is_refused_by_name(tmp_path):
    with pytest.raises(ValueError, match=r"nowhere\.keras: no such file"):
        read(f"{tmp_path}/nowhere.keras")


def test_without_any_training_begins_with_random_weights():
    assert initial_weights.read(NO_WEIGHTS, None) is None


# ---- the last blessed model

CHAMPION = {**NO_WEIGHTS, "champion": True}


def test_champions_weights_are_those_beside_what_is_served(source, tmp_path):
    (tmp_path / "7").mkdir()
    keras_file.write(source, ABOUT, tmp_path / "7" / "model.keras")
    initial = initial_weights.read(CHAMPION, f"{tmp_path}/7/Format-Serving")
    assert initial.file == f"{tmp_path}/7/model.keras"
    assert initial.about == ABOUT


def test_without_a_champion_training_begins_with_random_weights_and_says_so(caplog):
    caplog.set_level(logging.INFO, logger="components")
    assert initial_weights.read(CHAMPION, None) is None
    assert "random weights: no model has been blessed yet" in caplog.text


def test_champion_without_a_file_is_none_and_it_is_said(caplog, tmp_path):
    assert initial_weights.read(CHAMPION, f"{tmp_path}/7/Format-Serving") is None
    assert f"there is no {tmp_path}/7/model.keras" in caplog.text


# ---- the backbone


def fit(model: keras.Model) -> None:
    random = np.random.default_rng(1)
    pixels = random.normal(size=(8, 16, 16, 3)).astype("float32")
    model.fit(pixels, np.arange(8) % 3, epochs=2, verbose=0)


def test_frozen_backbone_stays_as_it_is_moments_too(source):
    model = build(3, batch_norm=FusedBatchNormalization)
    model.set_weights(source.get_weights())
    initial_weights.freeze_backbone(model)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.1), loss)
    fit(model)
    assert differing(model, source) == {fishnet.classifier(model).name}


@pytest.mark.parametrize("spared", [{"freeze_backbone": True}, {"backbone_rate": 0.5}])
def test_random_backbone_is_not_spared(spared):
    hparams = {"freeze_backbone": False, "backbone_rate": 1.0}
    initial_weights.require_trained_backbone(hparams, None)
    with pytest.raises(ValueError, match="no weights to start from"):
        initial_weights.require_trained_backbone({**hparams, **spared}, None)
