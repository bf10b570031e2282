"""The curves of a training, drawn as SVG."""

import io
from collections.abc import Sequence

import tensorflow as tf
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

CURVES_FILE = "curves.svg"

# Text stays text, and the same curves give the same file.
_STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": CURVES_FILE,
    "font.family": "sans-serif",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.3,
}


def draw_curves(folder: str, history: Sequence[dict[str, float]]) -> None:
    """Writes `curves.svg`: loss, top-1 and learning rate over the epochs.

    Args:
      folder: Where; it is there.
      history: The epochs from the first one on: metrics by name, `val_…` those of the validation,
        and the learning rate at the epoch's end.
    """
    with rc_context(_STYLE):
        figure = Figure(figsize=(12, 3.6), layout="constrained")
        loss, top1, learning_rate = figure.subplots(1, 3)
        for axes, name, title in ((loss, "loss", "loss, nats"), (top1, "top1", "top-1")):
            _draw(axes, title, {"training": name, "validation": f"val_{name}"}, history)
        _draw(learning_rate, "learning rate", {"": "learning_rate"}, history)
        drawn = io.BytesIO()
        figure.savefig(drawn, format="svg", metadata={"Date": None})
    with tf.io.gfile.GFile(f"{folder}/{CURVES_FILE}", "wb") as file:
        file.write(drawn.getvalue())


def _draw(
    axes: Axes, title: str, curves: dict[str, str], history: Sequence[dict[str, float]]
) -> None:
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
