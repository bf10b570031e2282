import functools
import json
import os
import shutil
import time
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf
from tfx import types
from tfx.types import standard_artifacts

from components.push import serving_gate
from components.push.serving_gate import BLESSED, REPORT_FILE, ServingGate, ServingReport, ask
from components.push.serving_probe import LOAD, Findings
from components.train.export import export
from components.train.golden import golden_answers, read_golden, write_golden
from components.train.warmup import WARMUP_FILE, predict_request, write_warmup
from models import fishnet
from served_model import interface

NAMES = ("ant", "bee", "cat", "dog", "eel", "fröschlein")
SIDE = 16  # pixels
LIMITS = {
    "max_load_seconds": 120.0,
    "max_median_seconds": 60.0,
    "max_p99_seconds": 60.0,
    "max_answer_seconds": 120.0,
    "max_score_difference": 1e-5,
}


@pytest.fixture(scope="module")
def network():
    keras.utils.set_random_seed(3)
    network = fishnet.build("fishnet_tiny", len(NAMES), (SIDE, SIDE, 3), stem="small")
    network.layers[-1].set_weights([30 * weight for weight in network.layers[-1].get_weights()])
    return network


@pytest.fixture(scope="module")
def trained(network, transform_output, images, encode, tmp_path_factory):
    """A folder with `Format-Serving` and `run`, as the Trainer leaves them."""
    folder = tmp_path_factory.mktemp("trained")
    served = str(folder / "Format-Serving")
    encoded = [encode(image) for image in images]
    export(network, transform_output, NAMES, served)
    write_warmup(served, encoded, SIDE, SIDE)
    write_golden(str(folder / "run"), golden_answers(network, transform_output, NAMES, encoded))
    return folder


@pytest.fixture
def spoilt(trained, tmp_path):
    """A copy of it."""
    return Path(shutil.copytree(trained, tmp_path / "spoilt"))


def findings(folder: Path, load: float = 120.0, answer: float = 120.0) -> Findings:
    return ask(str(folder / "Format-Serving"), str(folder / "run"), 1e-5, load, answer)


@pytest.mark.slow
def test_good_model_has_no_faults(trained):
    found = findings(trained)
    assert found.faults == []
    assert found.load_seconds > 0
    assert 0 < found.median_seconds <= found.p99_seconds
    for name in ("empty string", "not an image", "truncated JPEG", "one bad image in a batch"):
        assert found.outcomes[name] != "answer"
    for name in ("PNG", "grey JPEG", "CMYK JPEG", "4,000×4,000 image"):
        assert found.outcomes[name] == "answer"
    assert found.outcomes["JPEG with an EXIF orientation"] == "answer"
    assert {"no image at all", "1×1 image"} < set(found.outcomes)


@pytest.mark.slow
def test_keras_model_that_was_saved_the_wrong_way(network, spoilt):
    shutil.rmtree(spoilt / "Format-Serving")

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def serve(image_bytes):
        images = tf.map_fn(tf.io.decode_png, image_bytes, fn_output_signature=tf.uint8)
        images = tf.ensure_shape(images, [None, SIDE, SIDE, 3])
        return {interface.PROBABILITIES: tf.nn.softmax(network(tf.cast(images, tf.float32)))}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def by_examples(examples):
        return serve(examples)

    @tf.function(input_signature=[tf.TensorSpec([None, SIDE, SIDE, 3], tf.float32)])
    def by_images(images):
        return {interface.PROBABILITIES: tf.nn.softmax(network(images))}

    signatures = {"serving_default": serve, "serve_tensors": by_images}
    signatures |= {"serve_examples": by_examples, "transform_features": by_examples}
    tf.saved_model.save(network, str(spoilt / "Format-Serving"), signatures=signatures)
    write_warmup(str(spoilt / "Format-Serving"), read_golden(str(spoilt / "run")).images, 16, 16)
    faults = findings(spoilt).faults
    assert faults[0].startswith("warm-up request 0 of `serving_default`: ")


@pytest.mark.slow
def test_model_whose_answers_are_not_the_networks(spoilt):
    golden = read_golden(str(spoilt / "run"))
    golden.answers[interface.PROBABILITIES] += 3e-5
    write_golden(str(spoilt / "run"), golden)
    faults = findings(spoilt).faults
    assert (
        "`serving_default`, 1 golden images: `probabilities` differ from the Trainer" in faults[0]
    )
    assert len(faults) == 2 * 4  # both signatures that classify encoded images, four batch sizes


@pytest.mark.slow
def test_model_that_names_other_classes(spoilt):
    golden = read_golden(str(spoilt / "run"))
    golden.answers[interface.CLASSES][:, 0] = b"another"
    write_golden(str(spoilt / "run"), golden)
    assert "`classes` are others than the Trainer's" in findings(spoilt).faults[0]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("spoil", "fault"),
    [
        (lambda path: (path / "saved_model.pb").unlink(), "it cannot be loaded: "),
        (lambda path: (path / "saved_model.pb").write_bytes(b"cut"), "it cannot be loaded: "),
        (lambda path: (path / WARMUP_FILE).unlink(), "it has no warm-up requests"),
        (
            lambda path: write_request(path, predict_request("serving_default", image_bytes=["x"])),
            "warm-up request 0 of `serving_default`: ",
        ),
        (
            lambda path: write_request(path, predict_request("serve", image_bytes=["x"])),
            "warm-up request 0 of `serve`: ",
        ),
    ],
    ids=["no graph", "no SavedModel", "no warm-up", "bad warm-up", "warm-up of no signature"],
)
def test_model_that_a_server_would_not_load(spoilt, spoil, fault):
    spoil(spoilt / "Format-Serving")
    [found] = findings(spoilt).faults
    assert found.startswith(fault)


def write_request(path: Path, request) -> None:
    """Makes `request` the warm-up."""
    from tensorflow_serving.apis import prediction_log_pb2

    log = prediction_log_pb2.PredictLog(request=request)
    with tf.io.TFRecordWriter(str(path / WARMUP_FILE)) as writer:
        writer.write(prediction_log_pb2.PredictionLog(predict_log=log).SerializeToString())


@pytest.mark.slow
def test_model_without_a_signature(spoilt):
    shutil.rmtree(spoilt / "Format-Serving")
    root = tf.Module()
    root.f = tf.function(lambda x: {"y": x}, input_signature=[tf.TensorSpec([None], tf.string)])
    tf.saved_model.save(root, str(spoilt / "Format-Serving"), {"serving_default": root.f})
    faults = findings(spoilt).faults
    assert "signature `serving_default` with the input `image_bytes` is missing" in faults
    assert "signature `serve_tensors` with the input `images` is missing" in faults


def crash(model_path, golden_folder, max_difference, connection) -> None:
    connection.send("a request")
    os.abort()


def hang(step, model_path, golden_folder, max_difference, connection) -> None:
    connection.send(step)
    time.sleep(600)


@pytest.mark.slow
def test_model_that_crashes_the_server(monkeypatch, trained):
    monkeypatch.setattr(serving_gate, "probe", crash)
    assert findings(trained).faults == ["a request: the process died with code -6"]


@pytest.mark.slow
@pytest.mark.parametrize(("step", "load", "answer"), [("a request", 600, 2), (LOAD, 2, 600)])
def test_model_that_hangs(monkeypatch, trained, step, load, answer):
    monkeypatch.setattr(serving_gate, "probe", functools.partial(hang, step))
    assert findings(trained, load, answer).faults == [f"{step}: no answer in 2 s"]


def test_each_timed_request_has_the_limit_for_itself():
    from components.push.serving_probe import TIMED_REQUESTS, _time_requests

    told = []
    model = SimpleNamespace(ask=lambda *_: told.append("asked"))
    golden = SimpleNamespace(images=[b"an image"])
    _time_requests(model, golden, Findings(), SimpleNamespace(send=told.append))
    assert told == ["timed request", "asked"] * TIMED_REQUESTS


# ---- the node


@pytest.fixture
def gate(tmp_path, monkeypatch):
    """Function: what is found, changed limits → the blessing and what the report says."""

    def gate(found: Findings, **limits: float) -> tuple[bool, dict]:
        monkeypatch.setattr(serving_gate, "ask", lambda *_: found)
        artifacts: dict[str, types.Artifact] = {
            "model": standard_artifacts.Model(),
            "model_run": standard_artifacts.ModelRun(),
            "blessing": standard_artifacts.InfraBlessing(),
            "report": ServingReport(),
        }
        for name, artifact in artifacts.items():
            artifact.uri = str(tmp_path / name)
        (tmp_path / "model" / "Format-Serving").mkdir(parents=True)
        (tmp_path / "report").mkdir()
        ServingGate.test_call(**artifacts, **{**LIMITS, **limits}, source="")
        report = json.loads((tmp_path / "report" / REPORT_FILE).read_text())
        return bool(artifacts["blessing"].get_int_custom_property(BLESSED)), report

    return gate


def test_good_model_is_blessed(gate):
    blessed, report = gate(Findings(load_seconds=1.0, median_seconds=0.01, p99_seconds=0.02))
    assert blessed
    assert (report["load_seconds"], report["faults"]) == (1.0, [])


def test_model_with_a_fault_is_not_blessed(gate, caplog):
    blessed, report = gate(Findings(faults=["PNG: no answer"]))
    assert not blessed
    assert report["faults"] == ["PNG: no answer"]
    assert "serving: PNG: no answer" in caplog.text


@pytest.mark.parametrize("name", ["load_seconds", "median_seconds", "p99_seconds"])
@pytest.mark.parametrize(("seconds", "blessed"), [(0.5, True), (0.501, False)])
def test_slow_model_is_not_blessed(gate, name, seconds, blessed):
    found, report = gate(Findings(**{name: seconds}), **{f"max_{name}": 0.5})
    assert found is blessed
    assert bool(report["faults"]) is not blessed
    if not blessed:
        assert report["faults"] == [f"{name}: 0.501 is over the limit of 0.5"]


def test_findings_are_the_same_after_the_report(tmp_path):
    found = Findings(1.0, 0.1, 0.2, {"PNG": "answer"}, ["one"])
    (tmp_path / REPORT_FILE).write_text(json.dumps(vars(found)))
    assert serving_gate.read_report(str(tmp_path)) == found


def test_scores_that_are_no_numbers_differ():
    from components.push.serving_probe import _difference

    right = {
        interface.CLASSES: np.array([[b"a", b"b"]], object),
        interface.SCORES: np.array([[0.9, 0.1]]),
        interface.PROBABILITIES: np.array([[0.9, 0.1]]),
    }
    assert _difference(right, right, 1e-5) == ""
    wrong = {**right, interface.SCORES: np.array([[np.nan, 0.1]])}
    assert _difference(wrong, right, 1e-5).startswith("`scores` differ")
