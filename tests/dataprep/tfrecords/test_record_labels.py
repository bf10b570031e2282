import pytest
from foreign import example

from dataprep.errors import UsageError
from dataprep.tfrecords.labels import ClassNames, LabelError, LabelReader
from dataset.example import parse

NAMES = ClassNames(("ant", "bee", "cat"), "names.txt")


def classes(labels, base=None, named=NAMES, **others):
    """What a reader makes of labels: label → name, in order."""
    reader = LabelReader("y", base, named)
    for label in labels:
        reader.read(parse(example(y=label, **others)))
    return reader.classes()


@pytest.mark.parametrize(
    ("labels", "base", "expected"),
    [
        ([2, 0, 1], None, {"0": "ant", "1": "bee", "2": "cat"}),
        ([2, 3, 1], None, {"1": "ant", "2": "bee", "3": "cat"}),
        ([2, 1], 0, {"1": "bee", "2": "cat"}),
        ([2, 1], 1, {"1": "ant", "2": "bee"}),
        ([2.0, 0.0], None, {"0": "ant", "2": "cat"}),
        ([[0, 0, 1], [0, 1, 0]], None, {"1": "bee", "2": "cat"}),
        ([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]], None, {"0": "ant", "2": "cat"}),
        ([b"cat", b"ant"], None, {"ant": "ant", "cat": "cat"}),
    ],
)
def test_labels_name_classes(labels, base, expected):
    """In the order of the names, of which those without records are left out."""
    found = classes(labels, base)
    assert list(found.names.items()) == list(expected.items())
    assert {*found.names.values(), *found.unused} == set(NAMES.names)


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ([10, 9, 0], {"0": "0", "9": "9", "10": "10"}),
        ([1, 2], {"1": "1", "2": "2"}),
        ([b"dog", b"cat"], {"cat": "cat", "dog": "dog"}),
    ],
)
def test_without_names_labels_name_themselves(labels, expected):
    """Numbers in the order of numbers, not of their digits."""
    assert list(classes(labels, named=ClassNames()).names.items()) == list(expected.items())


def texts_of(*texts, key="image__class__text"):
    reader = LabelReader("y", None, ClassNames())
    for label, text in texts:
        reader.read(parse(example(y=label, **{key: text})))
    return reader.classes().names


def test_records_may_name_their_classes():
    assert texts_of((1, b"dog"), (0, b"cat"), (1, b"dog")) == {"0": "cat", "1": "dog"}
    assert texts_of((7, b"n02"), (3, b"n01"), key="image__class__synset") == {
        "3": "n01",
        "7": "n02",
    }


@pytest.mark.parametrize(
    "texts",
    [
        [(0, b"crane"), (1, b"crane")],  # one name for two classes
        [(0, b"cat"), (0, b"dog"), (1, b"eel")],  # two names for one
        [(0, b"cat"), (1, b"")],
        [(0, b"cat\n"), (1, b"dog")],
    ],
)
def test_texts_that_do_not_tell_classes_apart_are_no_names(texts):
    assert set(texts_of(*texts).values()) == {"0", "1"}


@pytest.mark.parametrize(
    ("label", "message"),
    [
        ([], "no label: it has no value of `y`"),
        (-1, r"label out of range: -1 is not 0\.\.3"),
        (4, r"label out of range: 4 is not 0\.\.3"),
        (1.5, r"label is no number of a class: 1\.5"),
        (float("nan"), "label is no number of a class: nan"),
        ([0, 1, 1], r"several labels: 3 values of int64, which are no one-hot vector"),
        ([0, 2, 0], r"several labels: .* no one-hot"),
        (b"cat", r"label of another kind: `y` is a name \(bytes, 'cat'\).* first .* number"),
        (b"\xff", "label is no name: .* is not UTF-8"),
    ],
)
def test_labels_that_cannot_be_used(label, message):
    reader = LabelReader("y", None, NAMES)
    reader.read(parse(example(y=0)))
    with pytest.raises(LabelError, match=message):
        reader.read(parse(example(y=label) if label != [] else example(x=1)))


@pytest.mark.parametrize(
    ("label", "message"),
    [
        (b"dog", r"label unknown: 'dog' is not in names\.txt"),
        (b"cat ", r"label is no name: 'cat ' is empty, or has a line break, or white space"),
        (b"ca\nt", r"label is no name"),
        (b"", r"label is no name"),
    ],
)
def test_names_that_cannot_be_used(label, message):
    with pytest.raises(LabelError, match=message):
        classes([label])


@pytest.mark.parametrize(("base", "legal"), [(0, "0..2"), (1, "1..3")])
def test_a_known_base_bounds_the_labels(base, legal):
    with pytest.raises(LabelError, match=f"{base + 3} is not {legal}"):
        classes([base + 3], base)


@pytest.mark.parametrize(
    ("labels", "base", "message"),
    [
        ([1, 2], None, r"labels are 1 to 2, and names\.txt has 3 names: .* --label-base"),
        ([0, 1, 3], None, r"labels are 0 to 3, and names\.txt has 3 names: 4 classes need as many"),
        ([b"cat"], 1, "--label-base 1: the labels in `y` are names, which"),
        ([[0, 1]], 0, "--label-base 0: the labels in `y` are one-hot vectors, which"),
    ],
)
def test_what_is_not_clear_is_asked(labels, base, message):
    with pytest.raises(UsageError, match=message):
        classes(labels, base)
