"""A pushed model in other formats: the same answers, built-in operations alone, or an error."""

import json
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from untrained import CLASS_NAMES, push, small_network

from models import fishnet
from serving import export

SIDE = 16  # pixels


def fish() -> keras.Model:
    keras.utils.set_random_seed(1)
    return fishnet.build("fishnet_tiny", len(CLASS_NAMES), (SIDE, SIDE, 3), stem="small")


@pytest.fixture(scope="module", params=[fish, lambda: small_network(SIDE)], ids=["fish", "small"])
def version(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("serving") / "17"
    push(request.param(), folder)
    return folder


@pytest.fixture
def images():
    return np.random.default_rng(2).uniform(0, 255, (3, SIDE, SIDE, 3)).astype("float32")


def probabilities(version, images) -> np.ndarray:
    signature = tf.saved_model.load(str(version)).signatures["serve_tensors"]
    return signature(images=tf.constant(images))["probabilities"].numpy()


def test_tflite_answers_as_the_model_does(version, images, tmp_path):
    output = tmp_path / "a model.tflite"
    assert export.export(version, "tflite", output) <= export.MAX_DIFFERENCE
    runner = tf.lite.Interpreter(str(output)).get_signature_runner()
    answer = runner(images=images)["probabilities"]
    np.testing.assert_allclose(answer, probabilities(version, images), atol=1e-4)
    names = json.loads((tmp_path / "a model.tflite.classes.json").read_text("utf-8"))
    assert names == list(CLASS_NAMES)


def test_onnx_answers_as_the_model_does(version, images, tmp_path):
    onnx = pytest.importorskip("onnx", reason="needs tf2onnx (EXTRAS=onnx make setup)")
    runtime = pytest.importorskip("onnxruntime")
    output = tmp_path / "model.onnx"
    assert export.export(version, "onnx", output) <= export.MAX_DIFFERENCE
    session = runtime.InferenceSession(output.read_bytes())
    [answer] = session.run(["probabilities"], {"images": images})
    np.testing.assert_allclose(answer, probabilities(version, images), atol=1e-4)
    onnx.checker.check_model(str(output))
    assert {node.domain for node in onnx.load(output).graph.node} == {""}  # built in


def test_nothing_is_written_where_the_answers_differ(version, tmp_path, monkeypatch):
    monkeypatch.setattr(
        export, "_to_tflite", lambda function: (b"", lambda images: np.ones((len(images), 6)))
    )
    with pytest.raises(export.ExportError, match=r"differ by .*; nothing was written"):
        export.export(version, "tflite", tmp_path / "model.tflite")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere", "--format", "tflite"], "nowhere: no pushed version"),
        (["VERSION", "--format", "tflite", "--output", "no/x"], "there is no folder no"),
    ],
)
def test_wrong_usage(arguments, message, version, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    given = [str(version) if argument == "VERSION" else argument for argument in arguments]
    monkeypatch.setattr("sys.argv", ["export", *given])
    with pytest.raises(SystemExit) as ended:
        export.main()
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


def test_says_what_to_install(version, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "tf2onnx", None)
    arguments = [str(version), "--format", "onnx", "--output", str(tmp_path / "x.onnx")]
    monkeypatch.setattr("sys.argv", ["export", *arguments])
    with pytest.raises(SystemExit) as ended:
        export.main()
    assert ended.value.code == 1
    assert "EXTRAS=onnx make setup" in capsys.readouterr().err
