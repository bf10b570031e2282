"""FishNet in other dtypes, and saved and exported: its logits stay what they were."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from fishnets import SHORTEST, images

from models import fishnet, torch_checkpoint

pytestmark = pytest.mark.slow


def test_mixed_precision_gives_float32_logits_near_those_of_float32():
    full = fishnet.build(SHORTEST, 10, (32, 32, 3), dtype="float32")
    mixed = fishnet.build(SHORTEST, 10, (32, 32, 3), dtype="mixed_bfloat16")
    mixed.set_weights(full.get_weights())
    batch = images(4, 32, 32, 3)
    logits, expected = mixed(batch), full(batch).numpy()
    assert logits.dtype == tf.float32
    assert {weight.dtype for weight in mixed.weights} == {"float32"}
    assert mixed.get_layer("feature_4").compute_dtype == "bfloat16"
    assert mixed.get_layer("fish_fish_3_4_1").compute_dtype == "float32"
    assert 0 < np.abs(logits - expected).max() < 0.05 * np.abs(expected).max()
    assert keras.config.dtype_policy().name == "float32"


def test_float64_is_not_rounded_on_the_way_in():
    model = fishnet.build(SHORTEST, 10, (16, 16, 3), dtype="float64")
    batch = np.random.RandomState(0).standard_normal((2, 16, 16, 3))
    assert model(batch).dtype == tf.float64
    assert np.abs(model(batch) - model(batch.astype("float32"))).max() > 0


def test_survives_saving(tmp_path):
    model = fishnet.build(SHORTEST, 10, (16, 16, 3))
    batch = images(2, 16, 16, 3)
    model.save(tmp_path / "network.keras")
    loaded = keras.models.load_model(tmp_path / "network.keras")
    np.testing.assert_array_equal(loaded(batch), model(batch))
    assert torch_checkpoint.state_shapes(loaded) == torch_checkpoint.state_shapes(model)


def test_survives_exporting(tmp_path):
    model = fishnet.build(SHORTEST, 10, (16, 16, 3))
    batch = images(2, 16, 16, 3)
    model.export(tmp_path / "exported", verbose=False)
    exported = tf.saved_model.load(tmp_path / "exported")
    np.testing.assert_allclose(exported.serve(batch), model(batch), rtol=0, atol=1e-5)
