"""A network as one file: read by Keras alone, with what it was trained for."""

import dataclasses
import json
import subprocess
import sys
import zipfile

import numpy as np
import pytest

from models import fishnet, keras_file

ABOUT = keras_file.About(
    network="fishnet_tiny",
    stem="small",
    class_names=["ant", "Kätzchen"],
    pixel_mean=[1.5, 2.5, 3.5],
    pixel_stddev=[4.0, 5.0, 6.0],
    width=2.0,
    depth=0.5,
)


@pytest.fixture(scope="module")
def model():
    return fishnet.build("fishnet_tiny", 2, (16, 16, 3), stem="small")


@pytest.fixture
def path(model, tmp_path):
    path = tmp_path / "a model.keras"
    keras_file.write(model, ABOUT, path)
    return path


def test_tells_what_the_network_was_trained_for(path):
    assert keras_file.read_about(path) == ABOUT


def test_file_of_an_earlier_version_holds_a_network_as_published(path, tmp_path):
    earlier = tmp_path / "earlier.keras"
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(earlier, "w") as target:
        metadata = json.loads(source.read("metadata.json"))
        del metadata["fishnet"]["width"], metadata["fishnet"]["depth"]
        target.writestr("metadata.json", json.dumps(metadata))
    assert keras_file.read_about(earlier) == dataclasses.replace(ABOUT, width=1, depth=1)


def test_keras_reads_it_where_nothing_of_this_project_is(path, model, tmp_path):
    pixels = np.random.default_rng(1).normal(size=(3, 16, 16, 3)).astype("float32")
    np.save(tmp_path / "pixels.npy", pixels)
    code = (
        "import keras, numpy, sys\n"
        "logits = keras.models.load_model(sys.argv[1])(numpy.load('pixels.npy'), training=False)\n"
        "numpy.save('logits.npy', keras.ops.convert_to_numpy(logits))\n"
        "assert not {'models', 'components', 'pipeline'} & set(sys.modules)\n"
    )
    command = [sys.executable, "-I", "-c", code, str(path)]
    done = subprocess.run(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 0, done.stderr
    wanted = model(pixels, training=False)
    np.testing.assert_allclose(np.load(tmp_path / "logits.npy"), wanted, atol=1e-5)


@pytest.mark.parametrize("content", ["absent", "plain", "text", "cut"])
def test_refuses_what_this_project_did_not_write(content, path, model, tmp_path):
    other = tmp_path / "other.keras"
    if content == "plain":
        model.save(other)
    elif content != "absent":
        other.write_bytes(path.read_bytes()[:5000] if content == "cut" else b"no archive")
    error = FileNotFoundError if content == "absent" else ValueError
    with pytest.raises(error, match="other.keras"):
        keras_file.read_about(other)
