import numpy as np
import pytest
import tensorflow as tf

from components.train.golden import golden_answers, read_golden, write_golden
from served_model import interface

pytestmark = pytest.mark.slow  # they run Beam


@pytest.fixture(scope="module")
def golden(fish, transform_output, served_fish):
    return golden_answers(fish, transform_output, served_fish.names, served_fish.images)


def test_answers_are_the_networks_own(golden, fish, normalized, images, served_fish):
    probabilities = tf.nn.softmax(fish(normalized(images), training=False)).numpy()
    # 1e-4, since numpy's pixels differ in the last digits from the image graph's
    np.testing.assert_allclose(golden.answers[interface.PROBABILITIES], probabilities, atol=1e-4)
    best = [served_fish.names[index].encode() for index in probabilities.argmax(axis=1)]
    assert golden.answers[interface.CLASSES][:, 0].tolist() == best
    assert len(set(best)) > 1
    np.testing.assert_allclose(
        golden.answers[interface.SCORES], -np.sort(-probabilities)[:, :5], atol=1e-4
    )


def test_the_exported_model_gives_them(golden, load, served_fish):
    answer, _ = load(served_fish.path)
    answered = answer("serving_default", golden.images)
    assert set(answered) == set(golden.answers)
    np.testing.assert_array_equal(answered[interface.CLASSES], golden.answers[interface.CLASSES])
    for name in (interface.SCORES, interface.PROBABILITIES):
        np.testing.assert_allclose(answered[name], golden.answers[name], atol=1e-5)


def test_are_the_same_after_they_were_written(golden, tmp_path):
    folder = str(tmp_path / "run")
    write_golden(folder, golden)
    read = read_golden(folder)
    assert read.images == golden.images
    assert set(read.answers) == set(golden.answers)
    for name, value in golden.answers.items():
        assert read.answers[name].dtype == value.dtype
        np.testing.assert_array_equal(read.answers[name], value)


def test_a_run_without_them_is_told(tmp_path):
    with pytest.raises(tf.errors.NotFoundError, match=r"golden\.tfrecord"):
        read_golden(str(tmp_path))
