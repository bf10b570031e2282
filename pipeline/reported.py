"""What the report takes of the other nodes."""

from components.report import keys
from pipeline.nodes import PUSHER, TUNER

# The report's input → the node and its output.
REPORTED = {
    keys.DATA_REPORT: ("ImportExampleGen", "report"),
    keys.EXAMPLES: ("ImportExampleGen", "examples"),
    keys.ANOMALIES: ("ExampleValidator", "anomalies"),
    keys.SKEW: ("DistributionValidator", "anomalies"),
    keys.TRANSFORM_GRAPH: ("Transform", "transform_graph"),
    keys.TRIALS: (TUNER, "tuner_results"),
    keys.MODEL: ("Trainer", "model"),
    keys.MODEL_RUN: ("Trainer", "model_run"),
    keys.CHAMPION: ("Champion", "model"),
    keys.EVALUATION: ("Evaluator", "evaluation"),
    keys.BLESSING: ("Evaluator", "blessing"),
    keys.SERVING_REPORT: ("ServingGate", "report"),
    keys.PUSHED_MODEL: (PUSHER, "pushed_model"),
}
