"""A record's features: label, class, types; of its image only that it is there."""

import numpy as np
import pytest
import tensorflow as tf
from checking import RULES, problem_of

from components.transform.image import decodes
from dataset import record
from dataset.record_check import LABEL_0, Rules, check_records


def test_good_record(example, image):
    serialized = example(image, 2, filename='Kätzchen "7".png'.encode(), **{"class/synset": b"n02"})
    [found] = check_records([serialized], RULES, decodes)
    assert found.problem is None
    assert (found.name, found.label, found.synset) == ('Kätzchen "7".png', 2, "n02")
    assert found.image == image


def test_no_records():
    assert check_records([], RULES, decodes) == []


@pytest.mark.parametrize("label", [1, 3])
def test_first_and_last_label_are_in_range(example, image, label):
    [found] = check_records([example(image, label)], RULES, decodes)
    assert found.problem is None
    assert found.label == label


@pytest.mark.parametrize("label", [-1, 4, 2**62])
@pytest.mark.parametrize(
    "rules",
    [RULES, Rules(num_classes=3), Rules(synsets=RULES.synsets)],
    ids=["both known", "number known", "synsets known"],
)
def test_label_out_of_range(example, image, label, rules):
    serialized = example(image, label, **{"class/synset": b"n01"})
    assert problem_of(serialized, rules) == (
        "label out of range",
        f"label {label} is not in 1..3",
    )


def test_label_out_of_range_is_no_class_of_which_it_could_be_counted(example, image):
    [found] = check_records([example(image, 4)], RULES, decodes)
    assert found.label == 0


def test_any_label_from_1_will_do_where_the_classes_are_unknown(example, image):
    [found] = check_records([example(image, 999)], Rules(), decodes)
    assert found.problem is None
    [found] = check_records([example(image, record.MAX_CLASSES)], Rules(), decodes)
    assert found.problem is None


def test_label_beyond_any_sane_number_of_classes(example, image):
    """A name for each label up to it would take gigabytes."""
    reason, detail = problem_of(example(image, 2 * 10**7), Rules())
    assert (reason, detail) == ("label out of range", "label 20000000 is not in 1..1000000")


@pytest.mark.parametrize("rules", [RULES, Rules()])
def test_label_0_has_a_reason_of_its_own(example, image, rules):
    """For which no budget of bad records counts, since a whole class may have it."""
    [found] = check_records([example(image, 0)], rules, decodes)
    assert found.problem.reason == LABEL_0
    assert found.problem.detail == "no class has it; labels count from 1"


@pytest.mark.parametrize(
    ("label", "described"),
    [
        ([1, 2], "2 values of int64"),
        ([0.0, 1.0], "2 values of float"),
        (b"cat", "bytes, 'cat'"),
        (1.0, "float, 1"),
    ],
    ids=str,
)
def test_label_of_another_type(example, image, label, described):
    """The type that is found, the type that is wanted, and that a command takes such records."""
    [found] = check_records([example(image, label)], RULES, decodes)
    assert (found.problem.reason, found.problem.detail) == (
        "label of another type",
        f"`image/class/label` is {described}; it must be one int64",
    )
    assert found.problem.conversion == ""


@pytest.mark.parametrize("label", [None, []])
def test_missing_label(example, image, label):
    reason, detail = problem_of(example(image, label))
    assert reason == "no label"
    assert detail.startswith("no `image/class/label`: it holds `image/")


def test_record_with_other_keys(image):
    """What it holds is said, and with which flags a command takes it."""
    features = tf.train.Example().features
    features.feature["photo"].bytes_list.value.append(image)
    features.feature["the class"].int64_list.value.append(0)
    serialized = tf.train.Example(features=features).SerializeToString()
    [found] = check_records([serialized], RULES, decodes)
    assert (found.problem.reason, found.problem.detail) == (
        "no image",
        "no `image/encoded` and no `image/class/label`: it holds `photo` (bytes, a PNG image), "
        "`the class` (int64, 0)",
    )
    assert found.problem.conversion == "--image-key photo --label-key 'the class'"


def test_synset_of_another_class(example, image):
    serialized = example(image, 3, **{"class/synset": b"n01"})
    assert problem_of(serialized) == (
        "wrong class",
        "label 3 is 'n03', but its `image/class/synset` is 'n01'",
    )
    [found] = check_records([serialized], RULES, decodes)
    assert found.label == 3  # it is counted against that class's budget


def test_synset_needs_quotes_and_letters_of_any_kind(example, image):
    name = 'Kätzchen, "Ŧom\'s" 猫'
    serialized = example(image, 1, **{"class/synset": name.encode()})
    [found] = check_records([serialized], Rules(synsets=(name, "other")), decodes)
    assert found.problem is None
    assert found.synset == name


@pytest.mark.parametrize("rules", [Rules(), Rules(num_classes=9, synsets=RULES.synsets)])
def test_synset_of_a_class_that_is_not_known_will_do(example, image, rules):
    serialized = example(image, 7, **{"class/synset": b"n77"})
    [found] = check_records([serialized], rules, decodes)
    assert found.problem is None
    assert found.synset == "n77"


def test_record_without_synset_is_good(example, image):
    [found] = check_records([example(image, 1)], RULES, decodes)
    assert found.problem is None
    assert found.synset == ""


@pytest.mark.parametrize(
    ("synset", "detail"),
    [
        (b"two\nlines", "has a line break: 'two\\nlines'"),
        ("two\u2028lines".encode(), "has a line break: 'two\\u2028lines'"),
        (b"ends\r", "has a line break: 'ends\\r'"),
        (b"caf\xe9", "is not UTF-8: b'caf\\xe9'"),
    ],
)
def test_synset_that_cannot_name_a_class(example, image, synset, detail):
    """Files of class names have one a line, and are UTF-8."""
    serialized = example(image, 1, **{"class/synset": synset})
    assert problem_of(serialized, Rules()) == ("class's key", f"`image/class/synset` {detail}")


@pytest.mark.parametrize(
    ("image", "detail"),
    [
        (None, "no `image/encoded`: it holds `image/class/label` (int64, 1)"),
        (
            [],
            "no `image/encoded`: it holds `image/class/label` (int64, 1), `image/encoded` (empty)",
        ),
        (b"", "`image/encoded` is empty"),
    ],
)
def test_missing_image(example, image, detail):
    assert problem_of(example(image, 1)) == ("no image", detail)


def test_record_that_is_no_tf_example():
    garbage = np.random.default_rng(3).bytes(200)
    [found] = check_records([garbage], RULES, decodes)
    assert found.problem.reason == "no tf.Example"
    assert found.name == ""
    # An empty record is a tf.Example without features.
    assert problem_of(b"") == (
        "no image",
        "no `image/encoded` and no `image/class/label`: it holds nothing",
    )


# StatisticsGen would end with Beam's stack trace.
@pytest.mark.parametrize(
    ("feature", "value", "detail"),
    [
        ("encoded", 7, "`image/encoded` is int64_list instead of bytes_list"),
        ("class/synset", 7, "`image/class/synset` is int64_list instead of bytes_list"),
        ("height", b"20", "`image/height` is bytes_list instead of int64_list"),
        ("width", 24.0, "`image/width` is float_list instead of int64_list"),
    ],
)
def test_feature_of_another_type(example, image, feature, value, detail):
    serialized = example(image, 1, **{feature: value})
    assert problem_of(serialized) == ("wrong type", detail)
    assert check_records([serialized], RULES, decodes)[0].label == 1


@pytest.mark.parametrize(
    ("feature", "values"),
    [("encoded", [b"a", b"b"]), ("class/synset", [b"n01", b"n01"]), ("height", [20, 20])],
)
def test_feature_with_several_values(example, image, feature, values):
    assert problem_of(example(image, 1, **{feature: values})) == (
        "several values",
        f"has 2 values of `image/{feature}` instead of one",
    )


def test_other_features_are_nobodys_business(example, image):
    [found] = check_records([example(image, 1, **{"object/bbox": [0.1, 0.9]})], RULES, decodes)
    assert found.problem is None


def test_file_name_that_is_no_utf8_is_told_as_well_as_can_be(example):
    [found] = check_records([example(b"", 1, filename=b"caf\xe9.png")], RULES, decodes)
    assert found.name == "caf\N{REPLACEMENT CHARACTER}.png"


def test_same_image_same_digest_whatever_else_the_records_say(example, image, jpeg):
    found = check_records(
        [example(image, 1, filename=b"a"), example(image, 2), example(jpeg, 1)], RULES, decodes
    )
    first, second, other = [one.image_digest for one in found]
    assert first == second != other
    assert len(first) == 16
