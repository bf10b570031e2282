"""The last lines of a local run."""

import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pipeline.pipeline import PIPELINE_NAME
from pipeline.runs import SUMMARY_FILE
from served_model.interface import TF_SERVING


def conclude(summary: Mapping[str, Any], output: Path, tell: Callable[[str], None]) -> None:
    """Tells the metrics against their thresholds, the verdict, and what to do next.

    Args:
      summary: As `summary.json` has it.
      output: The output folder.
      tell: Prints a line.
    """
    tell("")
    for name, threshold in summary["thresholds"].items():
        met = "met" if threshold["met"] else "NOT met"
        relation = "≤" if name.startswith("max") else "≥"
        bound = f"{relation} {threshold['bound']:g}"
        of = f"  ({threshold['class']})" if "class" in threshold else ""
        tell(f"{name:<14} {threshold['value']:.4f} {bound:<8} {met}{of}")
    tell(f"verdict    {summary['verdict']}")
    if summary["message"]:
        tell(f"           {summary['message']}")
    tell(f"log        {summary['log']}")
    tell(f"summary    {output / SUMMARY_FILE}")
    if summary["report"]:
        tell(f"report     {summary['report']}")
    if summary["serving_model"]:
        served = Path(summary["serving_model"])
        tell(f"served     {served}")
        mount = shlex.quote(f"{served.parent}:/models/{PIPELINE_NAME}")
        tell(
            f"next       docker run --rm -p 127.0.0.1:8501:8501 -e MODEL_NAME={PIPELINE_NAME}"
            f" -v {mount} tensorflow/serving:{TF_SERVING}"
        )
