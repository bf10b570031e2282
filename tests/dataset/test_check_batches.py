"""Records are checked in batches, and each has its own problem."""

import numpy as np
import pytest
from checking import RULES

from components.transform.image import decodes
from dataset import record_check
from dataset.record_check import BATCH, check_all, check_records


@pytest.mark.parametrize("place", [0, 3, 7])
def test_only_the_undecodable_image_of_a_batch_is_bad(example, image, jpeg, place):
    batch = [example(image, 1 + n % 3) for n in range(8)]
    batch[place] = example(jpeg[:-50], 2, filename=b"cut.jpg")
    found = check_records(batch, RULES, decodes)
    assert [n for n, one in enumerate(found) if one.problem] == [place]
    assert (found[place].name, found[place].label) == ("cut.jpg", 2)


def test_each_record_of_a_batch_has_its_own_problem(example, image, jpeg):
    batch = [
        example(image, 1),
        b"\xff" * 20,
        example(jpeg[:-50], 1),
        example(image, 9),
        example(jpeg, 3),
        example(None, 1),
        example(b"text", 2),
    ]
    reasons = [one.problem and one.problem.reason for one in check_records(batch, RULES, decodes)]
    assert reasons == [
        None,
        "no tf.Example",
        "image does not decode",
        "label out of range",
        None,
        "no image",
        "image does not decode",
    ]


def test_images_of_different_sizes_and_depths_are_one_batch(example, encode, image, jpeg):
    grey = encode(np.zeros((30, 9), np.uint8))
    found = check_records([example(one, 1) for one in (image, jpeg, grey)], RULES, decodes)
    assert [one.problem for one in found] == [None] * 3


def test_good_batch_is_decoded_in_one_call(example, image):
    calls = []
    batch = [example(image, 1)] * 5 + [example(image, 4)]
    check_records(batch, RULES, lambda images: calls.append(len(images)) or True)
    assert calls == [5]


@pytest.mark.parametrize("number", [0, 1, BATCH - 1, BATCH, BATCH + 1, 2 * BATCH + 5])
def test_any_number_of_records_is_checked_in_batches(example, image, number, monkeypatch):
    batches = []
    check = record_check.check_records
    monkeypatch.setattr(
        record_check,
        "check_records",
        lambda batch, *rest: batches.append(len(batch)) or check(batch, *rest),
    )
    records = [example(image if n % 3 else b"", 1, filename=b"%d" % n) for n in range(number)]
    found = list(check_all(iter(records), RULES, decodes))
    assert [serialized for serialized, _ in found] == records
    for n, (_, checked) in enumerate(found):
        assert checked.name == str(n)
        assert bool(checked.problem) == (n % 3 == 0)
    assert max(batches) <= BATCH
    assert len(batches) <= number // BATCH + 1


@pytest.mark.parametrize("number", [0, 5, BATCH, BATCH + 5])
def test_records_before_an_error_are_checked(example, image, number):
    def records():
        yield from [example(image, 1)] * number
        raise OSError("the disk is gone")

    found = check_all(records(), RULES, decodes)
    assert [next(found)[1].problem for _ in range(number)] == [None] * number
    with pytest.raises(OSError, match="the disk is gone"):
        next(found)
