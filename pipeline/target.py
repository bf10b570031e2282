"""What carries the pipeline out."""

import enum


class Target(str, enum.Enum):
    """What carries the pipeline out; the values are the command line's."""

    LOCAL = "local"
    KFP = "kfp"  # open-source Kubeflow Pipelines
    VERTEX = "vertex"  # Vertex AI Pipelines
