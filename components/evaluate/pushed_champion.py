"""The champion where no record of earlier runs can be asked: the newest pushed version.

Open-source Kubeflow Pipelines runs no Resolver. What is served was blessed, and is what a candidate
is to be better than.
"""

import logging

from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.dsl.io import fileio
from tfx.types import standard_artifacts
from tfx.utils import path_utils

from served_model.files import digest, model_files
from served_model.store import VersionStore, copy_model, holds

logger = logging.getLogger(__name__)


@component
def PushedChampion(  # noqa: N802  (TFX names a component's node after its function)
    candidate: InputArtifact[standard_artifacts.Model],
    model: OutputArtifact[standard_artifacts.Model],
    destination: Parameter[str],
) -> None:
    """Gives the newest pushed version as a Model, for Evaluator to hold the candidate against.

    The Model is empty where there is none, and where the version is the candidate itself, byte for
    byte: that is served already. It looks at a folder that Kubeflow's cache knows nothing of: do
    not take its outcome from there.

    Args:
      candidate: The Trainer's.
      model: Where the version is copied to.
      destination: The folder of versions that Pusher pushes to, or its URI.
    """
    newest = VersionStore(destination, fileio).newest()
    if newest is None:
        logger.info("Champion: none. There is no version in %s", destination)
        return
    trained = path_utils.serving_model_path(candidate.uri)
    if holds(newest, digest(trained, model_files(trained, fileio.walk), fileio.open), fileio):
        logger.info("Champion: none. The candidate is served already: %s", newest)
        return
    logger.info("Champion: %s", newest)
    copy_model(newest, path_utils.serving_model_dir(model.uri), fileio)
