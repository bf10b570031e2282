"""What is said of an image: its best classes, or why it has none."""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any


@dataclass(frozen=True)
class Prediction:
    """The most probable classes of an image.

    Attributes:
        classes: Their names, best first.
        scores: Their probabilities, 0 to 1.
    """

    classes: tuple[str, ...]
    scores: tuple[float, ...]


@dataclass(frozen=True)
class Refusal:
    """An image that has no prediction.

    Attributes:
        error: What is wrong with it.
    """

    error: str


Answer = Prediction | Refusal


class InvalidRequestError(Exception):
    """The model cannot take a request; sending it again would change nothing."""


def predictions(
    classes: Iterable[Iterable[bytes]], scores: Iterable[Iterable[float]]
) -> list[Prediction]:
    """Predictions from what the model gives: `classes` [batch, k] in UTF-8, `scores` [batch, k]."""
    return [
        Prediction(tuple(name.decode() for name in names), tuple(map(float, values)))
        for names, values in zip(classes, scores, strict=True)
    ]


def answer_each(
    predict: Callable[[Sequence[bytes]], list[Prediction]], images: Sequence[bytes]
) -> list[Answer]:
    """Has `predict` answer all images at once, and all but the bad ones where some are bad.

    A model refuses the whole request for one bad image and does not say which it is, so a refused
    request is halved until the bad image is alone.

    Args:
        predict: Images → their predictions; raises InvalidRequestError.
        images: JPEG or PNG files.

    Returns:
        As many answers as images, in their order.
    """
    if not images:
        return []
    try:
        return [*predict(images)]
    except InvalidRequestError as error:
        if len(images) == 1:
            return [Refusal(str(error))]
    middle = len(images) // 2
    return answer_each(predict, images[:middle]) + answer_each(predict, images[middle:])


def brief(message: str) -> str:
    """TensorFlow's error message in one line, without the names of the graph's nodes."""
    message = re.sub(r"^Graph execution error:|\{\{.*?\}\}|\[\[.*?\]\]", "", message)
    return " ".join(message.split())


def json_line(file: str, answer: Answer, known: Mapping[str, Any] = MappingProxyType({})) -> str:
    """One line of JSON: `file`, what else is `known`, and `classes` and `scores`, or `error`."""
    return json.dumps({"file": file, **known, **vars(answer)}, ensure_ascii=False)
