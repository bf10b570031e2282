import dataclasses
import logging
import shutil

import keras
import pytest
from tensorflow.core.protobuf import saved_model_pb2
from tfx.components import Evaluator
from tfx.dsl.component.experimental.annotations import OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.dsl.components.base import base_beam_executor, executor_spec
from tfx.dsl.components.common.resolver import Resolver
from tfx.orchestration.metadata import sqlite_metadata_connection_config
from tfx.orchestration.pipeline import Pipeline
from tfx.types import Channel, standard_artifacts
from tfx.utils import path_utils

from components.evaluate.champion import (
    CANDIDATE,
    MODEL,
    MODEL_BLESSING,
    ChampionStrategy,
    incomparable,
    last_blessing,
)
from components.train.export import export
from pipeline.local_run import LocalRun

pytestmark = pytest.mark.slow  # they run Beam

NAMES = ("ant", "bee", "cat", "dog", "eel", "fox")
SIZE = 16


def blessing(
    number: int, model: int, against: int | None = None, blessed: bool = True
) -> standard_artifacts.ModelBlessing:
    """As TFX's Evaluator makes it."""
    artifact = standard_artifacts.ModelBlessing()
    artifact.id = number
    artifact.set_int_custom_property("current_model_id", model)
    artifact.set_int_custom_property("blessed", int(blessed))
    if against is not None:
        artifact.set_int_custom_property("baseline_model_id", against)
    return artifact


@pytest.mark.parametrize(
    ("blessings", "candidate", "champion"),
    [
        ([(1,), (2, 1)], 3, 2),
        ([(1,), (2, 1, False)], 3, 1),
        ([(1,)], 3, 1),
        # the run before blessed this very candidate, which is not its own champion
        ([(1,), (2, 1), (3, 2)], 3, 2),
        # a cached, older candidate is held against what was blessed since
        ([(1,), (2, 1), (3, 2)], 2, 3),
        ([(1,), (2, 1), (3, 2)], 1, 3),
        # and once blessed it is the last blessed model
        ([(1,), (2, 1), (1, 2)], 3, 1),
        # 2 was blessed after a reset: later models are held against it
        ([(1,), (2,)], 3, 2),
        # a reset whose model was not blessed changes nothing
        ([(1,), (2, None, False)], 3, 1),
        ([(1,), (2, None, False)], 2, 1),
    ],
)
def test_champion_is_the_last_blessed_model_but_the_candidate(blessings, candidate, champion):
    artifacts = [blessing(100 + number, *known) for number, known in enumerate(blessings)]
    for order in (artifacts, artifacts[::-1]):
        found = last_blessing(candidate, order)
        assert found.get_int_custom_property("current_model_id") == champion


@pytest.mark.parametrize(
    "blessings",
    [
        [],  # the first run
        [(2,)],  # the first run's model, found again in the second
        [(1, None, False)],
        # blessed after a reset, and found again without one
        [(1,), (2,)],
        [(1,), (2, 1), (2,)],
    ],
)
def test_there_is_none_before_another_model_was_blessed_or_after_a_reset(blessings):
    artifacts = [blessing(100 + number, *known) for number, known in enumerate(blessings)]
    assert last_blessing(2, artifacts) is None


@pytest.fixture(scope="module")
def exported(transform_output, tmp_path_factory):
    """Function: class names → the folder of a SavedModel, as the Trainer writes it."""

    def exported(names=NAMES, transform_output=transform_output, size=SIZE) -> str:
        pixels = keras.Input((size, size, 3))
        logits = keras.layers.Dense(len(names))(keras.layers.Flatten()(pixels))
        network = keras.Model(pixels, logits)
        path = str(tmp_path_factory.mktemp("model") / "saved")
        export(network, transform_output, names, path)
        return path

    return exported


@pytest.fixture(scope="module")
def saved_model(exported):
    return exported()


def test_model_that_is_gone_cannot_be_compared(saved_model, tmp_path):
    assert incomparable(saved_model, str(tmp_path / "nowhere")).startswith("it is gone, or ")


def test_other_weights_and_images_of_another_size_can_be_compared(
    exported, saved_model, analyze, encode, images
):
    records = [(encode(images[0]), 1, None), (encode(images[1]), 2, None)]
    assert not incomparable(exported(), saved_model)
    assert not incomparable(exported(NAMES, analyze(records, 32, 32), 32), saved_model)


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        (NAMES[:4], "it knows 4 classes, the candidate 6"),
        (("ant", "cat", "bee", *NAMES[3:]), "its class 2 is 'cat', the candidate's 'bee'"),
    ],
)
def test_other_classes_cannot_be_compared(exported, saved_model, names, reason):
    assert incomparable(saved_model, exported(names)) == reason


def rename_output(graph):
    signature = graph.signature_def["serve_examples"]
    signature.outputs["p"].CopyFrom(signature.outputs.pop("probabilities"))


def change_type(graph):
    graph.signature_def["serve_examples"].outputs["probabilities"].dtype = 2


def change_input(graph):
    signature = graph.signature_def["transform_features"]
    signature.inputs["records"].CopyFrom(signature.inputs.pop("examples"))


def remove_signature(graph):
    del graph.signature_def["transform_features"]


@pytest.mark.parametrize(
    ("change", "signature"),
    [
        (rename_output, "serve_examples"),
        (change_type, "serve_examples"),
        (change_input, "transform_features"),
        (remove_signature, "transform_features"),
    ],
)
def test_other_signatures_cannot_be_compared(saved_model, tmp_path, change, signature):
    changed = shutil.copytree(saved_model, tmp_path / "changed")
    file = changed / "saved_model.pb"
    proto = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    change(proto.meta_graphs[0])
    file.write_bytes(proto.SerializeToString())
    reason = f"its signature {signature} differs from the candidate's"
    assert incomparable(saved_model, str(changed)) == reason
    assert incomparable(str(changed), saved_model) == reason


@component
def Train(
    export: Parameter[str],
    seed: Parameter[int],
    model: OutputArtifact[standard_artifacts.Model],
    examples: OutputArtifact[standard_artifacts.Examples],
) -> None:
    """Gives the SavedModel `export`."""
    shutil.copytree(export, path_utils.serving_model_dir(model.uri))


class BlessAll(base_beam_executor.BaseBeamExecutor):
    """Notes the champion as TFX's Evaluator does, and blesses the candidate."""

    def Do(self, input_dict, output_dict, exec_properties):
        [artifact] = output_dict["blessing"]
        [candidate] = input_dict["model"]
        artifact.set_int_custom_property("blessed", 1)
        artifact.set_int_custom_property("current_model_id", candidate.id)
        for champion in input_dict.get("baseline_model", []):
            artifact.set_int_custom_property("baseline_model_id", champion.id)


class Judge(Evaluator):
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(BlessAll)


@dataclasses.dataclass
class Judged:
    """A run: its candidate's id, its champion's if there was one, and if Evaluator was cached."""

    candidate: int
    champion: int | None
    cached: bool


@pytest.fixture
def judge(tmp_path):
    """Function: trains, resolves the champion and judges, in one metadata store → `Judged`."""

    def judge(saved_model: str, seed: int = 1, reset: bool = False) -> Judged:
        train = Train(export=saved_model, seed=seed)
        champion = Resolver(
            strategy_class=ChampionStrategy,
            config={"reset": reset},
            **{
                MODEL: Channel(type=standard_artifacts.Model),
                MODEL_BLESSING: Channel(type=standard_artifacts.ModelBlessing),
                CANDIDATE: train.outputs["model"],
            },
        ).with_id("Champion")
        evaluator = Judge(
            examples=train.outputs["examples"],
            model=train.outputs["model"],
            baseline_model=champion.outputs[MODEL],
        )
        pipeline = Pipeline(
            pipeline_name="test",
            pipeline_root=str(tmp_path / "artifacts"),
            components=[train, champion, evaluator],
            enable_cache=True,
            metadata_connection_config=sqlite_metadata_connection_config(
                str(tmp_path / "metadata.db")
            ),
        )
        run = LocalRun(pipeline)
        nodes = {name: run.run_node(name) for name in run.node_ids}
        champions = [model.id for model in nodes["Champion"].outputs.get(MODEL, [])]
        [candidate] = nodes["Train"].outputs["model"]
        return Judged(candidate.id, champions[0] if champions else None, nodes["Judge"].cached)

    return judge


@pytest.fixture
def told(caplog):
    """Function: what the strategy logged so far."""
    caplog.set_level(logging.INFO, "components.evaluate.champion")
    return lambda: [
        r.getMessage() for r in caplog.records if r.name == "components.evaluate.champion"
    ]


def test_runs_without_a_champion(judge, saved_model, told):
    first = judge(saved_model, seed=1)
    again = judge(saved_model, seed=1)
    assert first == Judged(first.candidate, champion=None, cached=False)
    assert again == Judged(first.candidate, champion=None, cached=True)
    assert told() == []


def test_reset_is_for_one_run_and_begins_a_new_line_of_champions(judge, saved_model, told):
    first = judge(saved_model, seed=1)
    second = judge(saved_model, seed=2)
    assert second.champion == first.candidate
    reset = judge(saved_model, seed=2, reset=True)
    assert reset == Judged(second.candidate, champion=None, cached=False)
    assert told() == ["Champion: none. This run was told to reset it"]
    # an unchanged run after it finds nothing to do
    assert judge(saved_model, seed=2) == Judged(second.candidate, champion=None, cached=True)
    assert judge(saved_model, seed=3).champion == second.candidate


def test_model_of_other_classes_has_no_champion_and_is_the_next_ones(
    judge, exported, saved_model, told
):
    first = judge(saved_model, seed=1)
    fewer = exported(NAMES[:4])
    second = judge(fewer, seed=2)
    assert second == Judged(second.candidate, champion=None, cached=False)
    assert told() == [
        "Champion: none. The last blessed model cannot be compared with: "
        "it knows 6 classes, the candidate 4"
    ]
    assert judge(fewer, seed=2) == Judged(second.candidate, champion=None, cached=True)
    assert judge(fewer, seed=3).champion == second.candidate
    # nor is the older model, of the same classes, a champion again
    assert judge(saved_model, seed=4).champion is None
    assert first.candidate != second.candidate
