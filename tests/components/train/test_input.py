import numpy as np
import pytest
import tensorflow as tf
from tensorflow_transform.coders import example_proto_coder

from components.train import order
from components.train.augmentation import Augmentation
from components.train.input import Input
from dataset import record

pytestmark = pytest.mark.slow  # they run Beam

CLASSES = 6
BATCH = 5  # of 24 examples 4 are left over


@pytest.fixture(scope="module")
def inputs(transform_output):
    return Input(transform_output, CLASSES, materialized=False)


@pytest.fixture(scope="module")
def read(examples):
    """The training images' records."""
    return order.read(examples)


@pytest.fixture(scope="module")
def materialized(write_examples, transform_output, encode, images, labels):
    """An `Input` that takes transformed examples, and those."""
    features = transform_output.transform_features_layer()(
        {
            record.IMAGE: tf.constant([encode(image) for image in images]),
            record.LABEL: tf.constant(labels, tf.int64),
        }
    )
    schema = transform_output.transformed_metadata.schema
    coder = example_proto_coder.ExampleProtoCoder(schema)
    files = write_examples(
        [
            coder.encode({name: values[row].numpy() for name, values in features.items()})
            for row in range(len(images))
        ]
    )
    return Input(transform_output, CLASSES, materialized=True), order.read(files)


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


def changes(seed: int = 1, **fields: object) -> Augmentation:
    nothing = {"flip": False, "shift": 0, "min_area": 1.0, "trivial": False, "erase": 0.0}
    return Augmentation(
        **{**nothing, "mixup": 0.0, "cutmix": 0.0, "mixed_steps": 99, "seed": seed, **fields}
    )


def shuffled(files: list[str], count: int, epochs: int = 1, seed: int = 1) -> tf.data.Dataset:
    return order.shuffled(files, count, seed, buffer=24, epochs=range(epochs))


def test_validation_gives_every_example_once(inputs, read, images, labels, normalized):
    dataset = inputs.validation(read, BATCH)
    assert [len(pixels) for pixels, _ in dataset] == [5, 5, 5, 5, 4]
    pixels, found = epoch(dataset)
    taken = which(pixels, normalized(images))
    assert sorted(taken) == list(range(24))
    np.testing.assert_allclose(pixels, normalized(images)[taken], atol=1e-4)
    np.testing.assert_array_equal(found, labels[taken])


def test_validation_batches_hold_nothing_else(inputs, read):
    spec = inputs.validation(read, BATCH).element_spec
    assert [element.dtype for element in spec] == [tf.float32, tf.float32]
    assert spec[0].shape.as_list() == [None, 16, 16, 3]


def test_training_batches_are_full(inputs, examples):
    dataset = inputs.training(shuffled(examples, 24), BATCH, changes(flip=True, shift=1))
    assert [len(pixels) for pixels, _ in dataset] == [BATCH] * 4


def test_training_keeps_each_example_with_its_own_label(
    inputs, examples, images, labels, normalized
):
    dataset = inputs.training(shuffled(examples, 24), 24, changes())
    pixels, found = epoch(dataset)
    taken = which(pixels, normalized(images))
    assert sorted(taken) == list(range(24))
    np.testing.assert_array_equal(found, labels[taken])


def test_training_augments_anew_in_each_step(inputs, read):
    same = read.take(12).repeat(4)
    batches = inputs.training(same, 12, changes(flip=True, shift=3)).as_numpy_iterator()
    assert len({pixels.tobytes() for pixels, _ in batches}) == 4


def test_steps_are_counted_from_the_one_that_a_training_goes_on_with(inputs, read):
    def steps(first: int, count: int) -> list[bytes]:
        same = read.take(12).repeat(count)
        batches = inputs.training(same, 12, changes(flip=True, shift=3), first_step=first)
        return [pixels.tobytes() for pixels, _ in batches.as_numpy_iterator()]

    assert steps(2, 2) == steps(0, 4)[2:]


def test_random_parts_are_resized_and_normalised(inputs, read, images, labels, normalized):
    [(pixels, one_hot)] = inputs.training(read.take(24), 24, changes(min_area=0.3))
    assert pixels.shape == (24, 16, 16, 3)
    np.testing.assert_allclose(
        np.mean(pixels, axis=(0, 1, 2)), np.mean(normalized(images), axis=(0, 1, 2)), atol=0.1
    )
    assert sorted(np.argmax(one_hot, axis=1) + 1) == sorted(labels)
    assert np.std(pixels) < 0.9  # less noise than in the images: they were cut out and enlarged


def test_images_and_labels_of_a_batch_are_mixed(inputs, read):
    [(_, labels)] = inputs.training(read.take(24), 24, changes(mixup=1.0))
    assert ((labels > 0).numpy().sum(axis=1) == 2).any()
    np.testing.assert_allclose(np.sum(labels, axis=1), 1, atol=1e-6)


def test_examples_weigh_as_their_classes(inputs, read, labels):
    weights = [float(n) for n in range(CLASSES)]
    batch = inputs.training(read.take(24), 24, changes(), class_weights=weights)
    [(_, one_hot, found)] = batch
    np.testing.assert_array_equal(found, np.argmax(one_hot, axis=1))


def test_same_seed_gives_the_same_training(inputs, examples):
    def two_epochs(seed: int) -> np.ndarray:
        records = shuffled(examples, 20, epochs=2, seed=seed)
        return epoch(inputs.training(records, BATCH, changes(seed, flip=True, shift=1)))[0]

    first = two_epochs(1)
    np.testing.assert_array_equal(two_epochs(1), first)
    assert (two_epochs(2) != first).any()


def test_materialized_examples_are_taken_as_they_are(materialized, images, labels, normalized):
    inputs, examples = materialized
    pixels, found = epoch(inputs.validation(examples, BATCH))
    taken = which(pixels, normalized(images))
    np.testing.assert_allclose(pixels, normalized(images)[taken], atol=1e-4)
    np.testing.assert_array_equal(found, labels[taken])


def test_materialized_examples_are_augmented_too(materialized, images, normalized):
    inputs, examples = materialized
    [(pixels, _)] = inputs.training(examples, 24, changes(flip=True)).as_numpy_iterator()
    both = np.concatenate([normalized(images), normalized(images)[:, :, ::-1]])
    taken = np.array(which(pixels, both))
    assert sorted(taken % 24) == list(range(24))
    assert 0 < (taken >= 24).sum() < 24


def test_images_are_the_first_ones_as_they_came(inputs, read, encode, images):
    first = inputs.images(read, 5)
    every = inputs.images(read, 99)
    assert every[:5] == first
    assert sorted(every) == sorted(encode(image) for image in images)


def test_images_of_materialized_examples_have_their_pixels(materialized, images):
    inputs, examples = materialized
    decoded = [tf.io.decode_png(file).numpy().tolist() for file in inputs.images(examples, 99)]
    assert sorted(decoded) == sorted(images.tolist())
