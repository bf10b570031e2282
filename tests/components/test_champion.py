import pytest
from tfx.types import standard_artifacts

from components.champion import CANDIDATE, MODEL, MODEL_BLESSING, ChampionStrategy


def model(number: int) -> standard_artifacts.Model:
    artifact = standard_artifacts.Model()
    artifact.id = number
    return artifact


def blessing(model_number: int, blessed: bool) -> standard_artifacts.ModelBlessing:
    artifact = standard_artifacts.ModelBlessing()
    artifact.id = 100 + model_number
    artifact.set_int_custom_property("current_model_id", model_number)
    artifact.set_int_custom_property("blessed", int(blessed))
    return artifact


def resolve(models: list[int], blessings: dict[int, bool], candidate: int):
    return ChampionStrategy().resolve_artifacts(
        None,
        {
            MODEL: [model(number) for number in models],
            MODEL_BLESSING: [blessing(number, blessed) for number, blessed in blessings.items()],
            CANDIDATE: [model(candidate)],
        },
    )


@pytest.mark.parametrize(
    ("models", "blessings", "candidate", "champion"),
    [
        ([1, 2, 3], {1: True, 2: True}, 3, 2),
        ([3, 1, 2], {2: True, 1: True}, 3, 2),
        ([1, 2, 3], {1: True, 2: False}, 3, 1),
        ([1, 2, 3], {1: True}, 3, 1),
        # the run before blessed this very candidate, which is not its own champion
        ([1, 2, 3], {1: True, 2: True, 3: True}, 3, 2),
        # a cached, older candidate is held against what was blessed since
        ([1, 2, 3], {1: True, 2: True, 3: True}, 2, 3),
    ],
)
def test_champion_is_the_last_blessed_model_but_the_candidate(
    models, blessings, candidate, champion
):
    resolved = resolve(models, blessings, candidate)
    assert [found.id for found in resolved[MODEL]] == [champion]
    [found] = resolved[MODEL_BLESSING]
    assert found.get_int_custom_property("current_model_id") == champion
    assert [found.id for found in resolved[CANDIDATE]] == [candidate]


@pytest.mark.parametrize(
    ("models", "blessings"),
    [
        ([1], {}),  # the first run
        ([1], {1: True}),  # the first run's model, found again in the second
        ([1, 2], {1: False}),
    ],
)
def test_there_is_none_before_a_model_was_blessed(models, blessings):
    resolved = resolve(models, blessings, candidate=models[-1])
    assert resolved[MODEL] == []
    assert resolved[MODEL_BLESSING] == []
