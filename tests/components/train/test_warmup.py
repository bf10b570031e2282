from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format
from tensorflow_serving.apis import prediction_log_pb2
from tensorflow_serving.config import model_server_config_pb2

from components.train.warmup import WARMUP_FILE, read_warmup, write_warmup
from served_model import interface

pytestmark = pytest.mark.slow  # they run Beam

MODELS_CONFIG = Path(__file__).parents[3] / "serving" / "models.config"


@pytest.fixture(scope="module")
def requests(served_fish):
    return read_warmup(served_fish.path)


def test_is_where_and_how_tf_serving_looks_for_it(served_fish):
    path = f"{served_fish.path}/assets.extra/tf_serving_warmup_requests"
    for serialized in tf.data.TFRecordDataset(path).as_numpy_iterator():
        log = prediction_log_pb2.PredictionLog.FromString(serialized)
        assert log.WhichOneof("log_type") == "predict_log"


def test_asks_every_signature_for_its_inputs(requests, load, served_fish):
    _, signatures = load(served_fish.path)
    offered = {
        (name, *signature.inputs) for name, signature in signatures.items() if signature.inputs
    }
    asked = {(request.model_spec.signature_name, *request.inputs) for request in requests}
    assert asked == offered


def test_asks_in_batches_of_one_and_more(requests):
    sizes = {}
    for request in requests:
        [value] = request.inputs.values()
        sizes.setdefault(request.model_spec.signature_name, []).append(
            value.tensor_shape.dim[0].size
        )
    assert list(sizes.values()) == [[1, 8]] * 4


def test_every_request_is_answered(requests, load, served_fish):
    answer, _ = load(served_fish.path)
    for request in requests:
        [value] = request.inputs.values()
        answered = answer(request.model_spec.signature_name, tf.make_ndarray(value))
        sizes = {len(output) for output in answered.values()}
        assert sizes == {value.tensor_shape.dim[0].size}


def test_all_signatures_are_asked_about_the_same_images(requests, load, served_fish):
    answer, _ = load(served_fish.path)
    answers = [
        answer(request.model_spec.signature_name, tf.make_ndarray(*request.inputs.values()))
        for request in requests[4:7]
    ]
    for answered in answers[1:]:
        np.testing.assert_allclose(
            answered[interface.PROBABILITIES], answers[0][interface.PROBABILITIES], atol=1e-5
        )
    sent = tf.make_ndarray(requests[4].inputs["image_bytes"]).tolist()
    first = served_fish.images[:3]  # it was given three: again and again
    assert sent == [*first, *first, *first[:2]]


def test_names_the_model_as_the_server_does(requests):
    config = text_format.Parse(
        MODELS_CONFIG.read_text(), model_server_config_pb2.ModelServerConfig()
    )
    assert [model.name for model in config.model_config_list.config] == [interface.MODEL_NAME]
    assert {request.model_spec.name for request in requests} == {interface.MODEL_NAME}


def test_a_model_without_it_is_told(tmp_path):
    with pytest.raises(tf.errors.NotFoundError, match=WARMUP_FILE):
        read_warmup(str(tmp_path))


def test_can_be_written_into_a_folder_with_a_space(tmp_path, encode):
    grey = encode(np.full((4, 4), 9, np.uint8))
    write_warmup(str(tmp_path / "a model"), [grey], 4, 6)
    request = read_warmup(str(tmp_path / "a model"))[2]
    np.testing.assert_array_equal(
        tf.make_ndarray(request.inputs["images"]), np.full((1, 4, 6, 3), 9.0)
    )
