"""The model card in Markdown, with the header that model hubs read."""

import re
from typing import Any

import yaml

from components.evaluate.evaluator import TOP1, TOP5
from components.report.facts import Facts
from components.report.page import template

_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>()#+\-.!|~&$])")


def render_card(facts: Facts) -> str:
    """The card's Markdown."""
    metrics = facts.summary["metrics"]
    measured = [
        {"type": "accuracy", "name": name, "value": round(metrics[key], 4)}
        for key, name in ((TOP1, "top-1"), (TOP5, "top-5"))
        if key in metrics
    ]
    task = {"type": "image-classification"}
    header: dict[str, Any] = {
        "library_name": "keras",
        "pipeline_tag": task["type"],
        "tags": ["fishnet", "tfx", "tensorflow-serving"],
    }
    if measured:
        dataset = {"type": "custom", "name": facts.summary["data"] or "the run's data"}
        results = [{"task": task, "dataset": dataset, "metrics": measured}]
        name = facts.config["model"]["name"]
        header["model-index"] = [{"name": name, "results": results}]
    front = yaml.safe_dump(header, allow_unicode=True, sort_keys=False)
    return template("model_card.md").render(
        front=front, facts=facts, summary=facts.summary, config=facts.config, text=_text
    )


def _text(value: Any) -> str:
    """A value as text that Markdown makes nothing of."""
    return _MARKDOWN.sub(r"\\\1", " ".join(str(value).split()))
