"""The runs of an output folder: each one's summary and report are kept, an index compares them."""

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cli.whole_file import write_whole
from components.report.component import CARD_FILE, PAGE_FILE
from components.report.keys import CARD, PAGE
from components.report.page import template
from pipeline.local_run import NodeRun

SUMMARY_FILE = "summary.json"  # in the output folder, and in each run's
RUNS = "runs"  # in the output folder: a folder for each run, named as its log
INDEX_FILE = "index.html"

# What a summary says of any run.
_KEYS = {"verdict", "started", "config", "metrics", "examples", "components", "model_version"}


def forget_latest(output: Path) -> None:
    """Removes what tells of the latest run: another one begins, and may be killed."""
    for name in (SUMMARY_FILE, PAGE_FILE, CARD_FILE):
        (output / name).unlink(missing_ok=True)


def write_summary(output: Path, name: str, summary: Mapping[str, Any]) -> None:
    """Writes a run's `summary.json`, as the latest one's and as its own.

    Args:
      output: The output folder.
      name: The run's.
      summary: What it says.
    """
    text = json.dumps(summary, indent=2, ensure_ascii=False) + "\n"
    for folder in (output, output / RUNS / name):
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(folder / SUMMARY_FILE, text)


def keep_report(output: Path, name: str, node: NodeRun) -> Path:
    """Copies what RunReport wrote, as the latest run's and as its own.

    Args:
      output: The output folder.
      name: The run's.
      node: RunReport's.

    Returns:
      The latest run's page.
    """
    for key, file in ((PAGE, PAGE_FILE), (CARD, CARD_FILE)):
        [artifact] = node.outputs[key]
        for folder in (output, output / RUNS / name):
            shutil.copyfile(artifact.uri, folder / file)
    return output / PAGE_FILE


def write_index(output: Path) -> None:
    """Writes `index.html`: all runs of the output folder, the latest first."""
    runs = []
    for folder, summary in _summaries(output):
        has_page = (folder / PAGE_FILE).exists()
        page = f"{RUNS}/{folder.name}/{PAGE_FILE}" if has_page else None
        runs.append({"name": folder.name, "page": page, "told": _told(summary), **summary})
    write_whole(output / INDEX_FILE, template(INDEX_FILE).render(runs=runs))


def last_seconds(output: Path) -> dict[str, float]:
    """Node → seconds that it took when it was last carried out, not taken from the cache."""
    seconds: dict[str, float] = {}
    for _, summary in _summaries(output):
        for node, told in summary["components"].items():
            if not told["cached"]:
                seconds.setdefault(node, told["seconds"])
    return seconds


def _summaries(output: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Folder and summary of each run, the latest first."""
    for folder in sorted((output / RUNS).glob("*"), reverse=True):
        try:
            summary = json.loads((folder / SUMMARY_FILE).read_text("utf-8"))
        except (OSError, ValueError):
            continue  # of a run that was killed
        if isinstance(summary, dict) and summary.keys() >= _KEYS:  # else it is somebody else's
            yield folder, summary


def _told(summary: Mapping[str, Any]) -> dict[str, str]:
    """What runs are compared by: name → value as text."""
    numbers = {key: value for key, value in summary["metrics"].items() if key != "slices"}
    records = {f"{split} records": found["read"] for split, found in summary["examples"].items()}
    told = {"verdict": summary["verdict"], **numbers, **records, **summary["config"]}
    return {
        key: f"{value:.4f}" if isinstance(value, float) else str(value)
        for key, value in told.items()
    }
