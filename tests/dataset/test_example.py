import tensorflow as tf

from dataset.example import Example, Serializer

EXAMPLE = Example(b"\xff\xd8", 7, "n01443537", "fisch_ä.JPEG", "JPEG", 3, 5, "RGB")


def test_all_features_of_the_record_as_tensorflow_reads_them():
    features = tf.train.Example.FromString(Serializer().serialize(EXAMPLE)).features.feature
    assert {
        key: (list(f.bytes_list.value) or list(f.int64_list.value)) for key, f in features.items()
    } == {
        "image/encoded": [b"\xff\xd8"],
        "image/class/label": [7],
        "image/class/synset": [b"n01443537"],
        "image/format": [b"JPEG"],
        "image/filename": ["fisch_ä.JPEG".encode()],
        "image/height": [3],
        "image/width": [5],
        "image/colorspace": [b"RGB"],
        "image/channels": [3],
    }


def test_grey_has_one_channel():
    grey = Example(b"", 1, "a", "a.png", "PNG", 3, 5, "Grayscale")
    features = tf.train.Example.FromString(Serializer().serialize(grey)).features.feature
    assert features["image/channels"].int64_list.value == [1]


def test_bytes_are_those_that_tensorflow_makes():
    proto = tf.train.Example.FromString(Serializer().serialize(EXAMPLE))
    assert Serializer().serialize(EXAMPLE) == proto.SerializeToString(deterministic=True)


def test_nothing_is_left_of_the_example_before():
    serializer = Serializer()
    long = Example(b"x" * 999, 70_000, "n" * 99, "f" * 99, "JPEG", 9999, 9999, "Grayscale")
    serializer.serialize(long)
    assert serializer.serialize(EXAMPLE) == Serializer().serialize(EXAMPLE)
