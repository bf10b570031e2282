"""Charts of the report, as SVG."""

from collections.abc import Mapping, Sequence

import numpy as np

from components.evaluate.answers import BINS, Kept
from components.train.drawing import drawing
from dataset.record import LABEL_BASE

NUMBERED = 20  # classes up to which each cell of a confusion matrix has its number, each row a name
NAME_LENGTH = 16  # characters of a name; ImageNet's synonyms would leave the matrix no room


def reliability(answers: Kept) -> str:
    """Share of right answers over the score of the first answer (Guo et al., ICML 2017, fig. 1)."""
    counts = np.array(answers.counts, float)
    filled = counts > 0
    edges = np.arange(BINS) / BINS
    shares = np.array(answers.right)[filled] / counts[filled]
    with drawing(6, 4) as (figure, svg):
        right, images = figure.subplots(1, 2)
        right.bar(edges[filled], shares, width=1 / BINS, align="edge", alpha=0.7)
        right.plot([0, 1], [0, 1], color="tab:red", linestyle="--", label="as sure as right")
        right.legend(loc="upper left")
        right.set(xlabel="score", xlim=(0, 1), ylim=(0, 1.15), title="share of right answers")
        images.bar(edges, counts, width=1 / BINS, align="edge", alpha=0.7)
        images.set(xlabel="score", xlim=(0, 1), title="images")
    return svg.getvalue()


def confusion_matrix(matrix: np.ndarray, class_names: Sequence[str]) -> str:
    """A row for each true class, a column for each first answer; the share of the row's images.

    Args:
      matrix: Number of images, [truth, first answer].
      class_names: In label order.
    """
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    count = len(class_names)
    with drawing(9, 8) as (figure, svg):
        axes = figure.subplots()
        image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, interpolation="nearest")
        axes.grid(visible=False)
        figure.colorbar(image, label="share of the class's images")
        axes.set(xlabel="first answer", ylabel="truth")
        if count <= NUMBERED:
            names = [_short_name(label, name) for label, name in enumerate(class_names, LABEL_BASE)]
            axes.set_xticks(range(count), names, rotation=90)
            axes.set_yticks(range(count), names)
            for (row, column), number in np.ndenumerate(matrix):
                if number:
                    color = "white" if shares[row, column] > 0.5 else "black"
                    axes.text(column, row, number, ha="center", va="center", color=color)
    return svg.getvalue()


def balance(records: Mapping[str, Sequence[int]]) -> str:
    """How many records the classes have, from the most frequent to the rarest, of each split."""
    with drawing(9, 2.6) as (figure, svg):
        axes = figure.subplots()
        for split, numbers in records.items():
            axes.step(range(1, len(numbers) + 1), sorted(numbers, reverse=True), label=split)
        axes.set(xlabel="classes, the most frequent first", ylabel="records")
        axes.set_ylim(bottom=0)
        axes.legend()
    return svg.getvalue()


def image_sizes(sizes: Sequence[tuple[int, int]]) -> str:
    """Width and height of the images."""
    heights, widths = zip(*sizes, strict=True)
    with drawing(4, 3.2) as (figure, svg):
        axes = figure.subplots()
        axes.scatter(widths, heights, s=9, alpha=0.4)
        axes.set(xlabel="width, pixels", ylabel="height, pixels")
        axes.set_xlim(left=0)
        axes.set_ylim(bottom=0)
    return svg.getvalue()


def _short_name(label: int, name: str) -> str:
    """A class's label and what there is room for of its name."""
    return f"{label} {name if len(name) <= NAME_LENGTH else name[: NAME_LENGTH - 1] + '…'}"
