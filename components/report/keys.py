"""Keys and types of what the report is made from, RunReport's inputs, and of its outputs."""

from collections.abc import Mapping, Sequence

from tfx import types
from tfx.types.experimental import simple_artifacts

DATA_REPORT = "data_report"
EXAMPLES = "examples"
ANOMALIES = "anomalies"
SKEW = "skew"
TRANSFORM_GRAPH = "transform_graph"
TRIALS = "tuner_results"
MODEL = "model"
MODEL_RUN = "model_run"
CHAMPION = "champion"
EVALUATION = "evaluation"
BLESSING = "blessing"
SERVING_REPORT = "serving_report"
PUSHED_MODEL = "pushed_model"

# Outputs, each a file; and the types that Kubeflow's page of a run shows, of which TFX knows none.
PAGE = "page"
CARD = "card"
ReportFile = simple_artifacts.File
KUBEFLOW_TYPES = {PAGE: "system.HTML", CARD: "system.Markdown"}


def single(artifacts: Mapping[str, Sequence[types.Artifact]], key: str) -> types.Artifact | None:
    """The artifact of that key; None if there is none."""
    found = artifacts.get(key)
    return found[0] if found else None
