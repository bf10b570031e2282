"""The nodes that find the model to start from, and the one to compare with."""

from typing import Any

from tfx.dsl.components.base import base_node
from tfx.dsl.components.common.resolver import Resolver
from tfx.dsl.input_resolution.strategies.latest_blessed_model_strategy import (
    LatestBlessedModelStrategy,
)
from tfx.types import Channel, standard_artifacts

from components.evaluate.champion import CANDIDATE, MODEL, MODEL_BLESSING, ChampionStrategy
from components.evaluate.pushed_champion import PushedChampion
from pipeline.config import Config
from pipeline.nodes import CHAMPION, WARM_START
from pipeline.target import Target
from pipeline.training_config import LAST_BLESSED


def warm_starts(config: Config) -> list[base_node.BaseNode]:
    """The node that finds the last blessed model before the Trainer, if that starts from it."""
    if config.model.weights != LAST_BLESSED:
        return []
    return [_latest_blessed(WARM_START)]


def champions(
    target: Target, candidate: Channel, destination: Any, reset: bool
) -> list[base_node.BaseNode]:
    """The node that finds the champion in the way that `target` has for it, if one is needed.

    Args:
      target: What carries the pipeline out.
      candidate: The Trainer's model.
      destination: The folder of pushed versions.
      reset: Whether there is to be no champion.
    """
    if reset and target is not Target.LOCAL:
        return []
    if target is Target.KFP:
        pushed_champion = PushedChampion(candidate=candidate, destination=destination)
        return [pushed_champion.with_id(CHAMPION)]
    if target is Target.VERTEX:  # which carries out TFX's own strategies alone
        return [_latest_blessed(CHAMPION)]
    resolver = Resolver(
        strategy_class=ChampionStrategy,
        config={"reset": reset},  # not left out: once blessed, the model begins a new line
        **_models_and_blessings(),
        **{CANDIDATE: candidate},
    )
    return [resolver.with_id(CHAMPION)]


def _latest_blessed(node_id: str) -> Resolver:
    resolver = Resolver(strategy_class=LatestBlessedModelStrategy, **_models_and_blessings())
    return resolver.with_id(node_id)


def _models_and_blessings() -> dict[str, Channel]:
    """Those of all runs."""
    return {
        MODEL: Channel(type=standard_artifacts.Model),
        MODEL_BLESSING: Channel(type=standard_artifacts.ModelBlessing),
    }
