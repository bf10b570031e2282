import io
import json
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from exif import exif, jpeg, png, segment
from PIL import Image, ImageOps
from tensorflow.core.protobuf import saved_model_pb2

from components.train.export import Signatures, export
from components.train.warmup import WARMUP_FILE
from components.transform import transformed
from components.transform.image import decode_and_resize
from dataset import record
from served_model import interface
from served_model.files import CLASSES_FILE

pytestmark = pytest.mark.slow  # they run Beam

NAMES = ("ant", "bee", "cat", "dog", "eel", "fox")
SIZE = 16
FOUND_NO_VARIABLE = (tf.errors.FailedPreconditionError, tf.errors.NotFoundError)


def build_network(classes: int) -> keras.Model:
    """A network whose answers follow small changes of its input and are far from certain.

    Its last kernel is large enough to be exported as a variable.
    """
    keras.utils.set_random_seed(0)
    pixels = keras.Input((SIZE, SIZE, 3))
    x = keras.layers.Conv2D(64, 3, strides=2, kernel_initializer="he_normal")(pixels)
    norm = keras.layers.BatchNormalization()
    x = keras.layers.Flatten()(keras.layers.ReLU()(norm(x)))
    x = keras.layers.Dense(classes, kernel_initializer="glorot_normal")(x)
    norm.moving_mean.assign(keras.random.normal([64], seed=1))
    norm.moving_variance.assign(keras.random.uniform([64], 0.5, 2.0, seed=2))
    return keras.Model(pixels, x)


def signatures_of(network: keras.Model, transform_output) -> Signatures:
    """Signatures that call the Keras model itself."""
    names = NAMES[: network.output_shape[-1]]
    return Signatures(network, network.input_shape, transform_output, names)


@pytest.fixture(scope="module")
def network():
    return build_network(len(NAMES))


def served_ops(path: str) -> set[str]:
    """All operations of a SavedModel's graph and functions."""
    proto = saved_model_pb2.SavedModel.FromString((Path(path) / "saved_model.pb").read_bytes())
    graph = proto.meta_graphs[0].graph_def
    nodes = [graph.node, *(function.node_def for function in graph.library.function)]
    return {node.op for part in nodes for node in part}


@pytest.fixture(scope="module")
def served(network, transform_output, load, tmp_path_factory):
    path = str(tmp_path_factory.mktemp("export") / "model")
    export(network, transform_output, NAMES, path)
    return load(path)


@pytest.fixture(scope="module")
def answer(served):
    return served[0]


@pytest.fixture(scope="module")
def photos(encode):
    """Image files: PNG and JPEG, grey and colour, small, large, wide and tall."""
    random = np.random.default_rng(7)

    def image(*shape: int) -> np.ndarray:
        coarse = tf.image.resize(random.integers(0, 256, (5, 5, shape[2])), shape[:2])
        return coarse.numpy().astype(np.uint8).squeeze()

    return [
        encode(image(16, 16, 3)),
        encode(image(40, 90, 3)),
        encode(image(33, 20, 1)),
        encode(image(16, 16, 3), "JPEG"),
        encode(image(64, 48, 3), "JPEG"),
        encode(image(50, 70, 1), "JPEG"),
        encode(image(4, 4, 1)),
    ]


@pytest.fixture(scope="module")
def trained_on(transform_output, photos):
    """What the network is fed for `photos` in training."""
    return transform_output.transform_features_layer()({record.IMAGE: tf.constant(photos)})[
        transformed.PIXELS
    ]


@pytest.fixture(scope="module")
def probabilities(network, trained_on):
    """What the trained network says of `photos`."""
    answers = tf.nn.softmax(network(trained_on, training=False)).numpy()
    # were they nearly certain, or all alike, then the comparisons below would show nothing
    assert 0.2 < answers.max() < 0.99
    assert np.ptp(answers, axis=0).max() > 0.1
    return answers


def test_offers_the_four_signatures(served):
    _, signatures = served
    wanted = {"serving_default", "serve_examples", "serve_tensors", "transform_features"}
    assert wanted <= set(signatures)
    for name in wanted - {"serve_tensors"}:
        [taken] = signatures[name].inputs.values()
        assert taken.dtype == tf.string.as_datatype_enum
        assert [d.size for d in taken.tensor_shape.dim] == [-1]
    assert list(signatures["serving_default"].inputs) == ["image_bytes"]
    [tensors] = signatures["serve_tensors"].inputs.values()
    assert tensors.dtype == tf.float32.as_datatype_enum
    assert [d.size for d in tensors.tensor_shape.dim] == [-1, SIZE, SIZE, 3]


def test_images_are_answered_as_in_training(answer, photos, probabilities):
    answered = answer("serving_default", photos)
    np.testing.assert_allclose(answered[interface.PROBABILITIES], probabilities, atol=1e-5)


def test_examples_are_answered_as_in_training(answer, example, photos, probabilities):
    examples = [example(photo, None) for photo in photos]  # a request has no label
    answered = answer("serve_examples", examples)
    np.testing.assert_allclose(answered[interface.PROBABILITIES], probabilities, atol=1e-5)


def test_decoded_images_are_answered_as_in_training(answer, photos, probabilities):
    pixels = decode_and_resize(tf.constant(photos), SIZE, SIZE).numpy()
    answered = answer("serve_tensors", pixels)
    np.testing.assert_allclose(answered[interface.PROBABILITIES], probabilities, atol=1e-5)


@pytest.mark.parametrize("signature", ["serving_default", "serve_tensors"])
def test_images_are_normalised_by_the_training_splits_own_moments(
    answer, network, encode, images, normalized, signature
):
    batch = images.astype(np.float32)
    if signature == "serving_default":
        batch = [encode(image) for image in images]
    wanted = tf.nn.softmax(network(normalized(images), training=False))
    np.testing.assert_allclose(answer(signature, batch)[interface.PROBABILITIES], wanted, atol=1e-5)


def test_transform_features_gives_what_the_network_was_trained_on(
    answer, example, photos, trained_on
):
    examples = [example(photo, label) for label, photo in enumerate(photos, start=1)]
    answered = answer("transform_features", examples)
    assert set(answered) == {transformed.PIXELS, transformed.CLASS_INDEX}
    np.testing.assert_allclose(answered[transformed.PIXELS], trained_on, atol=1e-5)
    np.testing.assert_array_equal(answered[transformed.CLASS_INDEX], range(len(photos)))


def test_eight_orientations_are_served_as_a_viewer_shows_them(
    answer, transform_output, example, images
):
    """By the loader that TF Serving's C++ shares, in one request with an image that has no tag."""
    coarse = np.random.default_rng(0).integers(0, 256, (3, 4, 3), np.uint8)
    photo = Image.fromarray(coarse).resize((80, 60), Image.Resampling.BICUBIC)
    files = [jpeg(photo)]
    for number in range(1, 9):
        files += [jpeg(photo, segment(exif(number, order))) for order in "<>"]
        files.append(png(photo, exif(number)))
    shown = [ImageOps.exif_transpose(Image.open(io.BytesIO(file))) for file in files]
    upright = decode_and_resize(tf.constant([png(image, b"") for image in shown]), SIZE, SIZE)

    served = answer("transform_features", [example(file, 1) for file in files])
    trained = transform_output.transform_features_layer()({record.IMAGE: tf.constant(files)})
    np.testing.assert_allclose(
        served[transformed.PIXELS], trained[transformed.PIXELS], rtol=0, atol=1e-5
    )
    pixels = served[transformed.PIXELS] * images.std((0, 1, 2)) + images.mean((0, 1, 2))
    assert np.abs(pixels - upright).mean(axis=(1, 2, 3)).max() < 1


def test_a_batch_of_one_is_answered_alike(answer, photos, probabilities):
    one = answer("serving_default", photos[:1])
    np.testing.assert_allclose(one[interface.PROBABILITIES], probabilities[:1], atol=1e-5)


@pytest.mark.parametrize(
    ("signature", "shape"),
    [
        ("serving_default", [0]),
        ("serve_examples", [0]),
        ("serve_tensors", [0, SIZE, SIZE, 3]),
    ],
)
def test_an_empty_batch_is_answered_with_none(load, served_fish, signature, shape):
    answer, _ = load(served_fish.path)
    answered = answer(signature, np.empty(shape, np.float32 if len(shape) > 1 else object))
    assert {name: value.shape for name, value in answered.items()} == {
        interface.CLASSES: (0, 5),
        interface.SCORES: (0, 5),
        interface.PROBABILITIES: (0, len(served_fish.names)),
    }
    assert answer("transform_features", np.empty(0, object))[transformed.PIXELS].shape[0] == 0


def test_python_loads_it_too(served_fish, load):
    """The Evaluator does."""
    answer, _ = load(served_fish.path)
    signature = tf.saved_model.load(served_fish.path).signatures["serving_default"]
    answered = signature(tf.constant(served_fish.images))
    wanted = answer("serving_default", served_fish.images)
    np.testing.assert_array_equal(answered[interface.CLASSES], wanted[interface.CLASSES])
    np.testing.assert_allclose(
        answered[interface.PROBABILITIES], wanted[interface.PROBABILITIES], atol=1e-5
    )


def test_files_are_the_weights_once_and_a_small_graph(served_fish, fish):
    files = [path for path in Path(served_fish.path).rglob("*") if path.is_file()]
    written = {path.relative_to(served_fish.path).as_posix() for path in files}
    assert written <= {
        "saved_model.pb",
        "fingerprint.pb",
        "variables/variables.index",
        "variables/variables.data-00000-of-00001",
        CLASSES_FILE,
        WARMUP_FILE,
    }
    size = sum(path.stat().st_size for path in files if not path.match("assets.extra/*"))
    graph = 200_000  # bytes, of fishnet_tiny; with fishnet99 0.6 MB
    assert size <= 1.05 * 4 * fish.count_params() + graph


def test_class_names_lie_beside_the_graph(served_fish):
    names = json.loads(Path(served_fish.path, CLASSES_FILE).read_text("utf-8"))
    assert names == list(served_fish.names)


def test_graph_has_nothing_that_only_training_needs(served_fish):
    ops = served_ops(served_fish.path)
    assert not {op for op in ops if "Grad" in op or "BatchNorm" in op or "Assign" in op}
    assert "Rsqrt" not in ops  # batch normalisation by its moments


def test_names_the_five_best_classes_best_first(answer, photos, probabilities):
    answered = answer("serving_default", photos)
    order = np.argsort(-probabilities, axis=1)[:, :5]
    named = [[NAMES[index].encode() for index in row] for row in order]
    assert answered[interface.CLASSES].tolist() == named
    np.testing.assert_allclose(
        answered[interface.SCORES], np.take_along_axis(probabilities, order, axis=1), atol=1e-5
    )


def test_names_all_classes_where_they_are_fewer_than_five(transform_output, photos):
    signatures = signatures_of(build_network(3), transform_output)
    answered = signatures.serving_default(tf.constant(photos))
    assert answered[interface.CLASSES].shape == (len(photos), 3)
    assert set(answered[interface.CLASSES][0].numpy()) == {b"ant", b"bee", b"cat"}
    assert (np.diff(answered[interface.SCORES], axis=1) <= 0).all()
    np.testing.assert_allclose(tf.reduce_sum(answered[interface.SCORES], axis=1), 1, atol=1e-5)


def test_bad_image_fails_its_request_and_not_the_next(answer, example, photos, probabilities):
    for bad in (b"no image", b"", photos[1][:60]):
        with pytest.raises(tf.errors.InvalidArgumentError):
            answer("serving_default", [photos[0], bad])
        with pytest.raises(tf.errors.InvalidArgumentError):
            answer("serve_examples", [example(bad, None)])
    with pytest.raises(tf.errors.InvalidArgumentError):
        answer("serve_examples", [example(None, 1)])
    answered = answer("serving_default", photos)
    np.testing.assert_allclose(answered[interface.PROBABILITIES], probabilities, atol=1e-5)


def test_loading_so_tells_a_model_that_cannot_be_served(network, transform_output, load, tmp_path):
    """The obvious export, which Python loads and TF Serving cannot run, does not pass here."""
    function = signatures_of(network, transform_output).functions()["serve_tensors"]
    tf.saved_model.save(network, str(tmp_path), signatures={"serve_tensors": function})
    images = np.zeros([1, SIZE, SIZE, 3], np.float32)
    loaded = tf.saved_model.load(str(tmp_path)).signatures["serve_tensors"]
    assert loaded(tf.constant(images))[interface.PROBABILITIES].shape == (1, len(NAMES))

    answer, _ = load(str(tmp_path))
    with pytest.raises(FOUND_NO_VARIABLE, match=r"Could not find variable"):
        answer("serve_tensors", images)
