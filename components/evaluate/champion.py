"""The champion: the last blessed model, against which Evaluator holds the candidate."""

import dataclasses
import json
import logging
from collections.abc import Iterable

import ml_metadata as mlmd
from tensorflow.core.protobuf import saved_model_pb2
from tfx import types
from tfx.components.evaluator import constants
from tfx.dsl.components.common.resolver import ResolverStrategy
from tfx.dsl.io import fileio
from tfx.utils import path_utils

from dataset import record
from served_model import interface
from served_model.files import CLASSES_FILE, SAVED_MODEL

MODEL = "model"
MODEL_BLESSING = "model_blessing"
CANDIDATE = "candidate"

logger = logging.getLogger(__name__)

Artifacts = dict[str, list[types.Artifact]]


class ChampionStrategy(ResolverStrategy):
    """Resolves the champion, where the candidate has one that it can be compared with.

    The Resolver's inputs are `MODEL`, `MODEL_BLESSING` and `CANDIDATE`.

    Args:
      reset: Whether the candidate is compared with none.
    """

    def __init__(self, reset: bool = False) -> None:
        self._reset = reset

    def resolve_artifacts(self, store: mlmd.MetadataStore, input_dict: Artifacts) -> Artifacts:
        """See the base class; the result has `CANDIDATE` as it came in."""
        [candidate] = input_dict[CANDIDATE]
        blessing = last_blessing(candidate.id, input_dict[MODEL_BLESSING])
        blessed = blessing and blessing.get_int_custom_property(
            constants.ARTIFACT_PROPERTY_CURRENT_MODEL_ID_KEY
        )
        models = [model for model in input_dict[MODEL] if model.id == blessed]
        if models and (reason := self._objection(candidate, models[0])):
            logger.info(f"Champion: none. {reason}")
            models = []
        return {
            MODEL: models,
            MODEL_BLESSING: [blessing] if models else [],
            CANDIDATE: [candidate],
        }

    def _objection(self, candidate: types.Artifact, champion: types.Artifact) -> str:
        if self._reset:
            return "This run was told to reset it"
        difference = incomparable(
            *(path_utils.serving_model_path(model.uri) for model in (candidate, champion))
        )
        return difference and f"The last blessed model cannot be compared with: {difference}"


def last_blessing(candidate: int, blessings: Iterable[types.Artifact]) -> types.Artifact | None:
    """The last blessing of another model than the candidate; None if there is no such champion.

    TFX's own strategy gives, in a run in which nothing changed, the candidate as its own champion.
    Evaluator's inputs then differ from the run before, so it and Pusher run again for nothing. For
    the same reason a candidate that was blessed without a champion has none the next time either,
    although the one that it was not compared with is still there.

    Args:
      candidate: Id of the model.
      blessings: Evaluator's, of all models, in any order.
    """
    for blessing in sorted(blessings, key=lambda blessing: blessing.id, reverse=True):
        if not blessing.get_int_custom_property(constants.ARTIFACT_PROPERTY_BLESSED_KEY):
            continue
        model = blessing.get_int_custom_property(constants.ARTIFACT_PROPERTY_CURRENT_MODEL_ID_KEY)
        if model != candidate:
            return blessing
        if not blessing.has_custom_property(constants.ARTIFACT_PROPERTY_BASELINE_MODEL_ID_KEY):
            return None
    return None


def incomparable(candidate: str, champion: str) -> str:
    """Why figures of two SavedModels say nothing about which is better; empty if they do.

    Their classes must be the same in the same order, and so must be what Evaluator's signatures
    take and give. The size of the images may differ.

    Args:
      candidate: Folder of the SavedModel, or its URI.
      champion: Likewise.
    """
    if not fileio.exists(f"{champion}/{CLASSES_FILE}"):
        return f"it is gone, or of an earlier version of this pipeline: {champion}"
    ours, its = _read_interface(candidate), _read_interface(champion)
    if len(ours.classes) != len(its.classes):
        return f"it knows {len(its.classes)} classes, the candidate {len(ours.classes)}"
    pairs = zip(ours.classes, its.classes, strict=True)
    for label, (our, other) in enumerate(pairs, start=record.LABEL_BASE):
        if our != other:
            return f"its class {label} is {other!r}, the candidate's {our!r}"
    for name, signature in ours.signatures.items():
        if signature != its.signatures[name]:
            return f"its signature {name} differs from the candidate's"
    return ""


@dataclasses.dataclass(frozen=True)
class _Interface:
    """What a SavedModel says of itself.

    Attributes:
      classes: Names in label order.
      signatures: For each that Evaluator calls the types of what it takes and gives.
    """

    classes: list[str]
    signatures: dict[str, tuple[dict[str, int], dict[str, int]]]


def _read_interface(path: str) -> _Interface:
    """Parses a SavedModel and does not load it: milliseconds instead of seconds."""
    with fileio.open(f"{path}/{SAVED_MODEL}", "rb") as file:
        [graph] = saved_model_pb2.SavedModel.FromString(file.read()).meta_graphs
    with fileio.open(f"{path}/{CLASSES_FILE}") as file:
        classes = json.loads(file.read())
    return _Interface(
        classes=classes,
        # One that is missing reads as one that takes and gives nothing.
        signatures={
            name: (
                {key: info.dtype for key, info in graph.signature_def[name].inputs.items()},
                {key: info.dtype for key, info in graph.signature_def[name].outputs.items()},
            )
            for name in (interface.SERVE_EXAMPLES, interface.TRANSFORM_FEATURES)
        },
    )
