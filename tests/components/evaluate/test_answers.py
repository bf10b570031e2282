import math

import numpy as np
import pytest
import tensorflow_model_analysis as tfma
from google.protobuf import text_format

from components.evaluate.answers import ANSWERS, BINS, KEPT, Answer, Kept, _Combiner, image_digest
from components.evaluate.evaluator import eval_config
from dataset import record


def answer(number: int, score: float = 0.9, is_right: bool = False) -> Answer:
    return Answer(image_digest(b"%d" % number), 1, 1 if is_right else 0, score, 1 - score)


def kept(*answers: Answer) -> Kept:
    found = Kept()
    for one in answers:
        found.add(one)
    return found


def test_bins_count_answers_and_right_ones():
    found = kept(answer(0, 0.0), answer(1, 0.5, is_right=True), answer(2, 1.0, is_right=True))
    middle = BINS // 2
    assert [found.counts[0], found.counts[middle], found.counts[-1]] == [1, 1, 1]
    assert [found.right[0], found.right[middle], found.right[-1]] == [0, 1, 1]
    assert sum(found.counts) == 3


def test_calibration_error_is_zero_where_answers_are_as_often_right_as_they_are_sure():
    assert kept(answer(0, 0.5, is_right=True), answer(1, 0.5)).calibration_error() == 0
    assert kept(answer(0, 0.9), answer(1, 0.9)).calibration_error() == pytest.approx(0.9)
    assert math.isnan(Kept().calibration_error())


def test_gravest_mistakes_come_first_and_right_answers_are_none():
    right = [answer(n, 0.99, is_right=True) for n in range(100, 105)]
    wrong = [answer(n, n / 100) for n in range(2 * KEPT)]
    found = kept(*right, *wrong)
    assert found.mistakes == sorted(wrong, key=lambda one: -one.score)[:KEPT]


def test_drawn_answers_are_the_same_however_the_work_is_shared():
    answers = [answer(n, (n % 10) / 10, is_right=n % 3 == 0) for n in range(100)]
    whole = kept(*answers)
    shared = kept(*answers[50:])
    shared.merge(kept(*answers[:50]))
    assert (shared.drawn, shared.mistakes) == (whole.drawn, whole.mistakes)
    assert len(whole.drawn) == KEPT
    assert shared.counts == whole.counts


def test_json_keeps_all():
    found = kept(answer(1), answer(2, 0.3, is_right=True))
    assert Kept.from_json(found.to_json()) == found


def test_metric_reads_label_probabilities_and_image_of_an_element():
    key = tfma.metrics.MetricKey(name=ANSWERS)
    combiner = _Combiner(key, eval_config(0, 0, 100, -1, 0))
    element = tfma.metrics.StandardMetricInputs(
        labels=np.array([2]),
        predictions={"probabilities": np.array([0.1, 0.7, 0.2])},
        example_weights=np.array([1.0]),
        features={record.IMAGE: np.array([b"a JPEG"], object)},
    )
    [text] = combiner.extract_output(
        combiner.merge_accumulators([combiner.add_input(combiner.create_accumulator(), element)])
    ).values()
    assert Kept.from_json(text).mistakes == [Answer(image_digest(b"a JPEG"), 2, 1, 0.7, 0.2)]


def test_evaluator_is_asked_for_it():
    config = eval_config(0, 0, 100, -1, 0)
    assert "components.evaluate.answers" in text_format.MessageToString(config)
