"""The curves of a training, drawn as SVG."""

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import LogFormatter, MaxNLocator

from components.train.callbacks import SPEED
from components.train.drawing import drawing

CURVES_FILE = "curves.svg"

History = Sequence[Mapping[str, float]]


def draw_curves(history: History) -> str:
    """An SVG of loss, top-1, learning rate and speed over the epochs.

    Args:
      history: The epochs from the first one on: metrics by name, `val_…` those of the validation,
        the learning rate at the epoch's end, and images/s.
    """
    with drawing(12, 6.4) as (figure, svg):
        (loss, top1), (learning_rate, speed) = figure.subplots(2, 2)
        for axes, name, title in (
            (loss, "loss", "loss, nats, logarithmic"),
            (top1, "top1", "top-1"),
        ):
            _draw(axes, title, {"training": name, "validation": f"val_{name}"}, history)
        _make_logarithmic(loss)
        _draw(learning_rate, "learning rate", {"": "learning_rate"}, history)
        _draw(speed, "images/s", {"": SPEED}, history)
    return svg.getvalue()


def _draw(axes: Axes, title: str, curves: dict[str, str], history: History) -> None:
    """A curve for each label, of the metric that it names; a dot where there is one epoch."""
    epochs = range(1, len(history) + 1)
    for label, name in curves.items():
        values = [epoch.get(name, float("nan")) for epoch in history]
        axes.plot(epochs, values, label=label, marker="o" if len(history) == 1 else "")
    axes.set_title(title)
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    if len(curves) > 1:
        axes.legend(frameon=False)


def _make_logarithmic(axes: Axes) -> None:
    """The validation's first losses may be hundreds: the moving moments have not settled."""
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(LogFormatter())
    axes.yaxis.set_minor_formatter(LogFormatter())
