"""The champion: the last blessed model, against which Evaluator holds the candidate."""

import ml_metadata as mlmd
from tfx import types
from tfx.dsl.input_resolution.strategies.latest_blessed_model_strategy import (
    LatestBlessedModelStrategy,
)

MODEL = "model"
MODEL_BLESSING = "model_blessing"
CANDIDATE = "candidate"


class ChampionStrategy(LatestBlessedModelStrategy):
    """Resolves the last blessed model that is not the candidate itself.

    TFX's own strategy gives, in a run in which nothing changed, the candidate as its own champion.
    Evaluator's inputs then differ from the run before, so it and Pusher run again for nothing.

    The Resolver's inputs are `MODEL`, `MODEL_BLESSING` and `CANDIDATE`.
    """

    def resolve_artifacts(
        self, store: mlmd.MetadataStore, input_dict: dict[str, list[types.Artifact]]
    ) -> dict[str, list[types.Artifact]] | None:
        """See the base class; the result has `CANDIDATE` as it came in."""
        candidates = {artifact.id for artifact in input_dict[CANDIDATE]}
        champion = super().resolve_artifacts(
            store,
            {
                MODEL: [m for m in input_dict[MODEL] if m.id not in candidates],
                MODEL_BLESSING: input_dict[MODEL_BLESSING],
            },
        )
        return champion and {**champion, CANDIDATE: input_dict[CANDIDATE]}
