"""Charts as SVG: text stays text, and what is drawn in ink takes the colour of the page's text."""

import contextlib
import io
from collections.abc import Iterator

from matplotlib import rc_context
from matplotlib.figure import Figure

_INK = "#010101"  # black, and no other colour of a chart
_STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "fishnet",  # the same chart gives the same file
    "font.family": "sans-serif",
    "text.parse_math": False,  # a class may be named `$`
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.3,
    "savefig.transparent": True,
    "legend.frameon": False,
    **dict.fromkeys(
        ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), _INK
    ),
}


@contextlib.contextmanager
def drawing(width: float, height: float) -> Iterator[tuple[Figure, io.StringIO]]:
    """A figure to draw in, and what holds its SVG once the context is left.

    Args:
      width: Inches of 72 points.
      height: Likewise.
    """
    svg = io.StringIO()
    with rc_context(_STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        yield figure, svg
        drawn = io.StringIO()
        figure.savefig(drawn, format="svg", metadata={"Date": None})
    svg.write(drawn.getvalue().replace(_INK, "currentColor"))
