"""The pipeline for a cluster: the local run's nodes and parameters, and what differs and must."""

import json
from collections import defaultdict

import pytest
from compiled_nodes import CONFIG, TUNED, compiled, parameters, producers
from tfx.dsl.components.base import base_node
from tfx.dsl.components.common.resolver import Resolver
from tfx.dsl.input_resolution.strategies.latest_blessed_model_strategy import (
    LatestBlessedModelStrategy,
)
from tfx.orchestration.data_types import RuntimeParameter

from components.evaluate.champion import ChampionStrategy
from components.evaluate.pushed_champion import PushedChampion
from pipeline.config import Config, EvaluatorConfig
from pipeline.nodes import NEVER_CACHED, NODES, REPORT, TUNER
from pipeline.pipeline import Paths, create_pipeline
from pipeline.presets import PRESETS
from pipeline.target import Target
from pipeline.training_config import TrainerConfig

REMOTE = Paths("gs://b/data", "gs://b/artifacts", "gs://b/serving", checkpoints="")
CLUSTERS = [Target.KFP, Target.VERTEX]
RESET = Config(evaluator=EvaluatorConfig(reset_champion=True))


def nodes_of(target: Target, config: Config = CONFIG) -> dict[str, base_node.BaseNode]:
    """The pipeline's nodes by id."""
    return {node.id: node for node in create_pipeline(config, REMOTE, target=target).components}


def values(node: base_node.BaseNode) -> dict[str, object]:
    """A node's parameters; of those that a run sets the defaults."""
    return {
        name: value.default if isinstance(value, RuntimeParameter) else value
        for name, value in node.exec_properties.items()
        if name != "folder_fingerprint"
    }


@pytest.mark.parametrize("target", CLUSTERS)
def test_cluster_runs_the_same_nodes_and_one_that_looks_at_the_folder(target):
    assert set(nodes_of(target)) == {"FolderFingerprint", *NODES}
    assert set(nodes_of(target, RESET)) == {"FolderFingerprint", *NODES} - {"Champion"}


def test_each_target_finds_the_champion_in_the_way_that_it_has_for_it():
    champion = nodes_of(Target.LOCAL)["Champion"]
    assert champion.exec_properties["resolver_class"] is ChampionStrategy
    champion = nodes_of(Target.VERTEX)["Champion"]
    assert isinstance(champion, Resolver)
    assert champion.exec_properties["resolver_class"] is LatestBlessedModelStrategy
    nodes = nodes_of(Target.KFP)
    assert isinstance(nodes["Champion"], PushedChampion)
    assert not any(isinstance(node, Resolver) for node in nodes.values())


@pytest.mark.parametrize("target", CLUSTERS)
def test_run_sets_what_the_config_gives_the_defaults_of(target):
    wanted = {
        ("data", "gs://b/data"): {
            "FolderFingerprint.data",
            "ImportExampleGen.input_base",
            "DataGate.data",
        },
        ("epochs", 3): {"Trainer.epochs", "RunReport.epochs"},
        ("learning_rate", 0.25): {"Trainer.learning_rate", "RunReport.learning_rate"},
        ("push_destination", "gs://b/serving"): {"Pusher.destination"},
    }
    if target is Target.KFP:
        wanted["push_destination", "gs://b/serving"].add("Champion.destination")
    config = Config(trainer=TrainerConfig(epochs=3, learning_rate=0.25))
    found = defaultdict(set)
    for node in nodes_of(target, config).values():
        for key, value in node.exec_properties.items():
            if isinstance(value, RuntimeParameter):
                assert value.ptype is type(value.default)
                found[value.name, value.default].add(f"{node.id}.{key}")
    assert found == wanted


@pytest.mark.parametrize("target", CLUSTERS)
def test_run_sets_the_same_for_the_tuner_and_the_trainer(target):
    nodes = nodes_of(target, TUNED)
    assert set(nodes) == {"FolderFingerprint", *TUNED.nodes}
    for node in (TUNER, "Trainer"):
        found = (nodes[node].exec_properties[name] for name in ("epochs", "learning_rate"))
        assert [(parameter.name, parameter.default) for parameter in found] == [
            ("epochs", TUNED.trainer.epochs),
            ("learning_rate", TUNED.trainer.learning_rate),
        ]


@pytest.mark.parametrize("target", CLUSTERS)
@pytest.mark.parametrize("preset", PRESETS)
def test_every_parameter_is_the_local_runs_where_a_run_sets_none(target, preset):
    cluster = nodes_of(target, PRESETS[preset])
    for name, node in nodes_of(Target.LOCAL, PRESETS[preset]).items():
        if name != "Champion":
            ours, its = values(node), values(cluster[name])
            if name == "Pusher":  # TFX tells a local run's id by itself
                assert (ours.pop("run"), its.pop("run")) == (None, "{{$.pipeline_job_uuid}}")
            assert its == ours
            assert set(cluster[name].inputs) == set(node.inputs)
            assert type(cluster[name]) is type(node)


def test_nothing_of_a_local_run_is_left_to_be_set():
    for node in nodes_of(Target.LOCAL).values():
        for value in node.exec_properties.values():
            assert not isinstance(value, RuntimeParameter)


@pytest.mark.parametrize("target", CLUSTERS)
def test_fingerprint_of_the_folder_is_a_parameter_of_the_import(target):
    """A cluster's cache is asked by it; TFX's driver has its own in a local run."""
    node = compiled(CONFIG, REMOTE, target)["ImportExampleGen"]
    key = "_FolderFingerprint.fingerprint"
    assert producers(node, key) == {("FolderFingerprint", "fingerprint")}
    fingerprint = node["parameters"]["parameters"]["folder_fingerprint"]
    assert key in json.dumps(fingerprint["placeholder"])
    assert "folder_fingerprint" not in parameters(compiled()["ImportExampleGen"])


@pytest.mark.parametrize("target", CLUSTERS)
def test_evaluator_compares_with_the_champion_of_the_target(target):
    nodes = compiled(CONFIG, REMOTE, target)
    assert producers(nodes["Evaluator"], "baseline_model") == {("Champion", "model")}
    assert producers(nodes["Evaluator"], "model") == {("Trainer", "model")}


def test_champion_on_kubeflow_is_another_than_the_candidate():
    nodes = compiled(CONFIG, REMOTE, Target.KFP)
    assert producers(nodes["Champion"], "candidate") == {("Trainer", "model")}


@pytest.mark.parametrize("target", CLUSTERS)
def test_reset_on_a_cluster_leaves_the_evaluator_without_a_champion_and_changes_nothing_else(
    target,
):
    usual, reset = nodes_of(target), nodes_of(target, RESET)
    assert set(usual) - set(reset) == {"Champion"}
    assert set(reset["Evaluator"].inputs) == {"examples", "model"}
    for name, node in reset.items():
        if name != REPORT:  # which tells the config
            assert values(node) == values(usual[name])


@pytest.mark.parametrize("target", CLUSTERS)
def test_cluster_works_on_no_records_either_before_the_gates_have_passed_them(target):
    nodes = compiled(CONFIG, REMOTE, target)
    assert "DataGate" in nodes["StatisticsGen"]["upstreamNodes"]
    assert "AnomalyGate" in nodes["Transform"]["upstreamNodes"]


def test_nodes_that_look_at_folders_are_never_cached():
    assert {"FolderFingerprint", "DataGate", "Champion", "Pusher"} < set(NEVER_CACHED)
    assert set(NEVER_CACHED) < set(nodes_of(Target.KFP))
