import numpy as np
import pytest
import tensorflow as tf
from tensorflow_transform.coders import example_proto_coder

from components.train.input import Input
from dataset import record

CLASSES = 6
BATCH = 5
STEPS = 4  # full batches of 24 examples; 4 are left over in each epoch


@pytest.fixture(scope="module")
def inputs(examples, schema, transform_output):
    return Input(examples.data_accessor, schema, transform_output, CLASSES, materialized=False)


@pytest.fixture(scope="module")
def materialized(write_examples, transform_output, encode, images, labels):
    """An `Input` that reads transformed examples, and their files."""
    features = transform_output.transform_features_layer()(
        {
            record.IMAGE: tf.constant([encode(image) for image in images]),
            record.LABEL: tf.constant(labels, tf.int64),
        }
    )
    schema = transform_output.transformed_metadata.schema
    coder = example_proto_coder.ExampleProtoCoder(schema)
    examples = write_examples(
        [
            coder.encode({name: values[row].numpy() for name, values in features.items()})
            for row in range(len(images))
        ]
    )
    # the raw records' schema is of no use here
    return Input(examples.data_accessor, None, transform_output, CLASSES, True), examples.files


def epoch(dataset: tf.data.Dataset) -> tuple[np.ndarray, np.ndarray]:
    """All pixels and all labels (from 1) of one iteration."""
    batches = list(dataset.as_numpy_iterator())
    one_hot = np.concatenate([batch[1] for batch in batches])
    np.testing.assert_array_equal(one_hot.sum(axis=1), 1)
    assert one_hot.shape[1] == CLASSES
    return np.concatenate([batch[0] for batch in batches]), one_hot.argmax(axis=1) + 1


def which(pixels: np.ndarray, known: np.ndarray) -> list[int]:
    """Index in `known` of each image in `pixels`."""
    distances = np.abs(pixels[:, None] - known[None]).max(axis=(2, 3, 4))
    assert distances.min(axis=1).max() < 1e-3
    return distances.argmin(axis=1).tolist()


def test_validation_gives_every_example_once_in_order(inputs, examples, images, labels, normalized):
    dataset = inputs.validation(examples.files, BATCH)
    sizes = [len(pixels) for pixels, _ in dataset]
    assert sizes == [5, 5, 5, 5, 4]
    pixels, found = epoch(dataset)
    np.testing.assert_allclose(pixels, normalized(images), atol=1e-4)
    np.testing.assert_array_equal(found, labels)


def test_validation_batches_hold_nothing_else(inputs, examples):
    spec = inputs.validation(examples.files, BATCH).element_spec
    assert [element.dtype for element in spec] == [tf.float32, tf.float32]
    assert spec[0].shape.as_list() == [None, 16, 16, 3]


def test_training_batches_are_full_and_as_many_as_the_steps(inputs, examples):
    dataset = inputs.training(examples.files, BATCH, STEPS, seed=1, flip=True, shift=1)
    assert int(dataset.cardinality()) == STEPS  # Keras shows and schedules by it
    assert [len(pixels) for pixels, _ in dataset] == [BATCH] * STEPS


def test_training_takes_each_example_once_with_its_own_label(
    inputs, examples, images, labels, normalized
):
    dataset = inputs.training(examples.files, 24, 1, seed=1, flip=False, shift=0)
    pixels, found = epoch(dataset)
    taken = which(pixels, normalized(images))
    assert sorted(taken) == list(range(24))
    np.testing.assert_array_equal(found, labels[taken])


def test_training_shuffles_anew_in_each_epoch(inputs, examples, images, normalized):
    dataset = inputs.training(examples.files, 24, 1, seed=1, flip=False, shift=0)
    orders = [which(epoch(dataset)[0], normalized(images)) for _ in range(3)]
    orders.append(list(range(24)))
    assert len({tuple(order) for order in orders}) == 4


def test_training_augments_anew_in_each_epoch_and_step(inputs, examples):
    dataset = inputs.training(examples.files, 12, 2, seed=1, flip=True, shift=3)
    borders = [  # of each image, whether its first row and column are the opened border
        (np.abs(pixels[:, 0]).max(axis=(1, 2)) == 0) * 2
        + (np.abs(pixels[:, :, 0]).max((1, 2)) == 0)
        for _ in range(2)
        for pixels, _ in dataset.as_numpy_iterator()
    ]
    assert len({tuple(border) for border in borders}) == 4


def test_same_seed_gives_the_same_training(inputs, examples):
    def two_epochs(seed: int) -> np.ndarray:
        dataset = inputs.training(examples.files, BATCH, STEPS, seed=seed, flip=True, shift=1)
        return np.concatenate([epoch(dataset)[0], epoch(dataset)[0]])

    first = two_epochs(1)
    np.testing.assert_array_equal(two_epochs(1), first)
    assert (two_epochs(2) != first).any()


def test_wrong_number_of_steps_is_an_error_and_not_a_shorter_epoch(inputs, examples):
    dataset = inputs.training(examples.files, BATCH, STEPS + 1, seed=1, flip=False, shift=0)
    with pytest.raises(
        tf.errors.FailedPreconditionError, match=r"expected to contain 5 elements but"
    ):
        list(dataset)


def test_materialized_examples_are_read_as_they_are(materialized, images, labels, normalized):
    inputs, files = materialized
    pixels, found = epoch(inputs.validation(files, BATCH))
    np.testing.assert_allclose(pixels, normalized(images), atol=1e-4)
    np.testing.assert_array_equal(found, labels)


def test_materialized_examples_are_augmented_too(materialized, images, normalized):
    inputs, files = materialized
    [(pixels, _)] = inputs.training(files, 24, 1, seed=1, flip=True, shift=0).as_numpy_iterator()
    both = np.concatenate([normalized(images), normalized(images)[:, :, ::-1]])
    taken = np.array(which(pixels, both))
    assert sorted(taken % 24) == list(range(24))
    assert 0 < (taken >= 24).sum() < 24


def test_images_are_the_first_ones_as_they_came(inputs, examples, encode, images):
    files = [encode(image) for image in images]
    assert inputs.images(examples.files, 5) == files[:5]
    assert inputs.images(examples.files, 99) == files


def test_images_of_materialized_examples_have_their_pixels(materialized, images):
    inputs, files = materialized
    decoded = [tf.io.decode_png(file).numpy() for file in inputs.images(files, 7)]
    np.testing.assert_array_equal(decoded, images[:7])
