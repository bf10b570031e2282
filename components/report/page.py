"""The report as one HTML file that asks the network for nothing."""

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from components.report import charts
from components.report.facts import Facts, confused_pairs

TEMPLATES = Path(__file__).with_name("templates")
CONFUSED_PAIRS = 20  # that are named


def render_page(facts: Facts) -> str:
    """The page's HTML."""
    return template("report.html").render(
        facts=facts,
        summary=facts.summary,
        confused=confused_pairs(facts, CONFUSED_PAIRS),
        charts=_charts(facts),
    )


def template(name: str) -> jinja2.Template:
    """A template of this folder; what is filled in is escaped."""
    return _environment().get_template(name)


@functools.cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=jinja2.select_autoescape(["html"]),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["percent"] = lambda share: "–" if share is None else f"{share:.1%}"
    environment.filters["figure"] = _figure
    return environment


def _figure(value: Any) -> str:
    return f"{value:,.4g}" if isinstance(value, float) else f"{value:,}"


def _charts(facts: Facts) -> Mapping[str, Markup]:
    """Name → inline SVG, of those that there is something to draw of."""
    drawn = {}
    if facts.curves:
        drawn["curves"] = facts.curves
    if facts.answers:
        drawn["reliability"] = charts.reliability(facts.answers)
    if facts.confusion is not None:
        drawn["confusion"] = charts.confusion_matrix(facts.confusion, facts.class_names)
    if facts.classes:
        splits = facts.classes[0].records
        drawn["balance"] = charts.balance(
            {split: [c.records[split] for c in facts.classes] for split in splits}
        )
    if facts.data and facts.data.sizes:
        drawn["sizes"] = charts.image_sizes(facts.data.sizes)
    return {name: _inline(svg) for name, svg in drawn.items()}


def _inline(svg: str) -> Markup:
    """An SVG document as an element of HTML: without its prologue. Its text is escaped already."""
    return Markup(svg[svg.index("<svg") :])
