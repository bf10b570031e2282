"""TensorFlow and its imports, which say a dozen lines about GPUs and Python versions otherwise."""

import os
import warnings


def quiet_tensorflow() -> None:
    """Has them say errors alone; called before TensorFlow is imported."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    warnings.filterwarnings("ignore", category=FutureWarning, module="google")
