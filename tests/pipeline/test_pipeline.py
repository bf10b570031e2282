import dataclasses
import json
import shutil
from collections import defaultdict
from pathlib import Path

import pytest
from google.protobuf import json_format
from tfx.dsl.compiler import compiler
from tfx.dsl.components.base import base_node
from tfx.dsl.components.common.resolver import Resolver
from tfx.dsl.input_resolution.strategies.latest_blessed_model_strategy import (
    LatestBlessedModelStrategy,
)
from tfx.orchestration.data_types import RuntimeParameter
from tfx.orchestration.metadata import sqlite_metadata_connection_config

from components.evaluate.champion import ChampionStrategy
from components.evaluate.pushed_champion import PushedChampion
from pipeline import source_digest as digest_module
from pipeline.config import BeamConfig, Config, DataConfig, EvaluatorConfig, TransformConfig
from pipeline.local_run import LocalRun
from pipeline.nodes import NEVER_CACHED, NODES, REPORT, TUNER
from pipeline.pipeline import Paths, create_pipeline
from pipeline.presets import PRESETS
from pipeline.reported import REPORTED
from pipeline.target import Target
from pipeline.training_config import ModelConfig, TrainerConfig, TunerConfig

PATHS = Paths(data="/data", artifacts="/artifacts", serving="/serving", checkpoints="/checkpoints")
CONFIG = Config()
TUNED = Config(tuner=TunerConfig(enable=True))


def compiled(
    config: Config = CONFIG, paths: Paths = PATHS, target: Target = Target.LOCAL
) -> dict[str, dict]:
    """Each node of the compiled pipeline as JSON, by id, in the order in which they run."""
    ir = compiler.Compiler().compile(create_pipeline(config, paths, target=target))
    nodes = [json_format.MessageToDict(node.pipeline_node) for node in ir.nodes]
    return {node["nodeInfo"]["id"]: node for node in nodes}


def parameters(node: dict) -> dict[str, object]:
    """A node's execution parameters; those which are JSON, read."""
    found = {}
    for name, parameter in node.get("parameters", {}).get("parameters", {}).items():
        [value] = parameter["fieldValue"].values()
        found[name] = value
        if isinstance(value, str) and value[:1] in ("{", "["):
            found[name] = json.loads(value)
    return found


def changed(before: dict[str, dict], after: dict[str, dict]) -> set[str]:
    """Nodes whose parameters differ: what a cache of their outputs is keyed by.

    But for the report's, which tell the whole config; it is never cached.
    """
    names = set(before) - {REPORT}
    return {name for name in names if parameters(before[name]) != parameters(after[name])}


def producers(node: dict, key: str) -> set[tuple[str, str]]:
    """(node, output) that the input `key` comes from."""
    return {
        (channel["producerNodeQuery"]["id"], channel["outputKey"])
        for channel in node["inputs"]["inputs"][key]["channels"]
    }


def test_nodes_are_those_that_the_command_line_knows_in_the_order_in_which_they_run():
    assert tuple(compiled()) == NODES
    assert tuple(compiled(TUNED)) == TUNED.nodes
    assert tuple(compiled(FROM_CHAMPION)) == FROM_CHAMPION.nodes


def test_nothing_works_on_the_records_before_the_gates_have_passed_them():
    nodes = compiled()
    assert "DataGate" in nodes["StatisticsGen"]["upstreamNodes"]
    assert "AnomalyGate" in nodes["Transform"]["upstreamNodes"]
    assert {"ExampleValidator", "DistributionValidator"} <= set(
        nodes["AnomalyGate"]["upstreamNodes"]
    )


def test_both_gates_judge_what_was_found_in_these_very_records():
    nodes = compiled()
    assert producers(nodes["DataGate"], "report") == {("ImportExampleGen", "report")}
    assert producers(nodes["AnomalyGate"], "anomalies") == {("ExampleValidator", "anomalies")}
    assert producers(nodes["AnomalyGate"], "skew") == {("DistributionValidator", "anomalies")}
    for key in ("statistics", "baseline_statistics"):
        source = producers(nodes["DistributionValidator"], key)
        assert source == {("StatisticsGen", "statistics")}
    compared = parameters(nodes["DistributionValidator"])["include_split_pairs"]
    assert compared == [["val", "train"]]


def test_champion_and_candidate_meet_in_the_evaluator_and_its_blessing_gates_the_push():
    nodes = compiled()
    assert producers(nodes["Evaluator"], "model") == {("Trainer", "model")}
    assert producers(nodes["Evaluator"], "baseline_model") == {("Champion", "model")}
    assert producers(nodes["Pusher"], "model") == {("Trainer", "model")}
    assert producers(nodes["Pusher"], "model_blessing") == {("Evaluator", "blessing")}


def test_what_a_server_could_not_serve_is_not_pushed():
    nodes = compiled()
    assert producers(nodes["ServingGate"], "model") == {("Trainer", "model")}
    assert producers(nodes["ServingGate"], "model_run") == {("Trainer", "model_run")}
    assert producers(nodes["Pusher"], "infra_blessing") == {("ServingGate", "blessing")}


@pytest.mark.parametrize("reset", [False, True])
def test_flag_that_resets_the_champion_reaches_it_and_changes_nothing_else(reset):
    nodes = compiled(Config(evaluator=EvaluatorConfig(reset_champion=reset)))
    assert not changed(compiled(), nodes)
    [graph] = nodes["Champion"]["inputs"]["inputGraphs"].values()
    [strategy] = [node["opNode"] for node in graph["nodes"].values() if "opNode" in node]
    assert strategy["kwargs"]["reset"]["value"]["fieldValue"] == {"stringValue": str(reset).lower()}


def test_push_receipt_is_told_of_this_models_evaluation_data_and_code():
    nodes = compiled()
    assert producers(nodes["Pusher"], "evaluation") == {("Evaluator", "evaluation")}
    assert producers(nodes["Pusher"], "data_report") == {("ImportExampleGen", "report")}
    source = parameters(nodes["Trainer"])["custom_config"]["source"]
    assert parameters(nodes["Pusher"])["source"] == source


def test_model_is_evaluated_on_the_validation_split_and_moments_are_the_training_splits():
    nodes = compiled()
    assert parameters(nodes["Evaluator"])["example_splits"] == ["val"]
    splits = parameters(nodes["Transform"])["splits_config"]
    assert splits["analyze"] == ["train"]
    assert parameters(nodes["Trainer"])["train_args"]["splits"] == ["train"]
    assert parameters(nodes["Trainer"])["eval_args"]["splits"] == ["val"]


def test_trainer_reads_the_raw_records_unless_they_are_materialized():
    nodes = compiled()
    assert producers(nodes["Trainer"], "examples") == {("ImportExampleGen", "examples")}
    assert parameters(nodes["Trainer"])["custom_config"]["materialized"] is False
    assert "transformed_examples" not in nodes["Transform"]["outputs"]["outputs"]

    nodes = compiled(Config(transform=TransformConfig(materialize=True)))
    assert producers(nodes["Trainer"], "examples") == {("Transform", "transformed_examples")}
    assert parameters(nodes["Trainer"])["custom_config"]["materialized"] is True


def test_trainer_takes_what_the_tuner_found_on_the_same_data():
    nodes = compiled(TUNED)
    assert producers(nodes["Trainer"], "hyperparameters") == {(TUNER, "best_hyperparameters")}
    assert "hyperparameters" not in compiled()["Trainer"]["inputs"]["inputs"]
    for config in (TUNED, dataclasses.replace(TUNED, transform=TransformConfig(materialize=True))):
        nodes = compiled(config)
        for key in ("examples", "transform_graph", "schema", "report"):
            assert producers(nodes[TUNER], key) == producers(nodes["Trainer"], key)
        given = parameters(nodes[TUNER])
        trainers = parameters(nodes["Trainer"])
        assert trainers.pop("run_fn") and given.pop("tuner_fn")
        tuner = given["custom_config"].pop("tuner")
        space = given["custom_config"].pop("space")
        assert given["custom_config"].pop("tuner_source")
        assert given == trainers
        assert tuner == json.loads(json.dumps(dataclasses.asdict(config.tuner)))
        assert space == {name: list(values) for name, values in config.tuner.space.items()}


def test_change_of_the_search_runs_the_tuner_alone_and_none_where_there_is_none():
    """The Trainer runs if other hyperparameters come of it."""
    tuner = dataclasses.replace(TUNED.tuner, epochs=3)
    changed_config = dataclasses.replace(TUNED, tuner=tuner)
    assert changed(compiled(TUNED), compiled(changed_config)) == {TUNER}
    off = Config(tuner=dataclasses.replace(tuner, enable=False))
    assert not changed(compiled(), compiled(off))


@pytest.mark.parametrize(
    ("section", "field", "value", "nodes"),
    [
        ("data", "class_names", ("ant", "bee"), {"ImportExampleGen"}),
        ("data", "synsets", ("n1", "n2"), {"ImportExampleGen"}),
        ("data", "min_side", 64, {"ImportExampleGen"}),
        ("data", "max_pixels", 64, {"ImportExampleGen"}),
        ("data", "max_bad_share", 0.5, {"DataGate"}),
        ("data", "require_all_classes", False, {"DataGate"}),
        ("data", "refuse_anomalies", False, {"AnomalyGate"}),
        ("data", "max_skew", 0.5, {"DistributionValidator"}),
        ("image", "height", 32, {"Transform"}),
        ("image", "width", 32, {"Transform"}),
        ("model", "name", "fishnet99", {"Trainer"}),
        ("model", "stem", "small", {"Trainer"}),
        ("trainer", "freeze_backbone", True, {"Trainer"}),
        ("trainer", "backbone_rate", 0.5, {"Trainer"}),
        ("model", "width", 0.5, {"Trainer"}),
        ("model", "depth", 0.5, {"Trainer"}),
        ("trainer", "epochs", 3, {"Trainer"}),
        ("trainer", "learning_rate", 0.3, {"Trainer"}),
        ("trainer", "seed", 7, {"Trainer"}),
        ("evaluator", "min_top1", 0.7, {"Evaluator"}),
        ("evaluator", "min_top5", 0.7, {"Evaluator"}),
        ("evaluator", "max_loss", 2.0, {"Evaluator"}),
        ("evaluator", "min_top1_gain", 0.1, {"Evaluator"}),
        ("evaluator", "min_class_top1", 0.1, {"Evaluator"}),
        ("serving", "max_load_seconds", 1.0, {"ServingGate"}),
        ("serving", "max_median_seconds", 1.0, {"ServingGate"}),
        ("serving", "max_p99_seconds", 1.0, {"ServingGate"}),
        ("serving", "max_answer_seconds", 1.0, {"ServingGate"}),
        ("serving", "max_score_difference", 1.0, {"ServingGate"}),
        ("pusher", "keep_versions", 3, {"Pusher"}),
    ],
)
def test_field_reaches_the_nodes_that_need_it_and_no_other(section, field, value, nodes):
    part = dataclasses.replace(getattr(Config(), section), **{field: value})
    config = dataclasses.replace(Config(), **{section: part})
    assert changed(compiled(), compiled(config)) == nodes


def test_trainer_runs_again_for_other_weights_to_start_from(tmp_path):
    file = tmp_path / "weights.npz"
    config = Config(model=ModelConfig(weights=str(file)))
    file.write_bytes(b"some")
    some, again = compiled(config), compiled(config)
    file.write_bytes(b"other")
    assert not changed(some, again)
    assert changed(some, compiled(config)) == changed(some, compiled()) == {"Trainer"}


def test_report_is_made_of_what_is_there():
    """Of a run that failed as well: no input is needed."""
    report = compiled(TUNED)[REPORT]
    assert set(report["inputs"]["inputs"]) == set(REPORTED)
    assert not any("minCount" in found for found in report["inputs"]["inputs"].values())
    assert "tuner_results" not in compiled()[REPORT]["inputs"]["inputs"]


FROM_CHAMPION = Config(model=ModelConfig(weights="champion"))


@pytest.mark.parametrize("target", [Target.LOCAL, Target.VERTEX])
def test_last_blessed_model_is_found_before_the_training_that_starts_from_it(target):
    nodes = compiled(FROM_CHAMPION, target=target)
    order = list(nodes)
    assert set(order) - set(compiled(target=target)) == {"WarmStart"}
    assert order.index("WarmStart") < order.index("Trainer")
    assert producers(nodes["Trainer"], "base_model") == {("WarmStart", "model")}
    assert producers(nodes["Evaluator"], "baseline_model") == {("Champion", "model")}


def test_every_field_of_the_trainers_section_reaches_it():
    found = parameters(compiled()["Trainer"])
    of_run = {"epochs": int(found["epochs"]), "learning_rate": found["learning_rate"]}
    config = found["custom_config"]
    assert {**config["trainer"], **of_run} == dataclasses.asdict(Config().trainer)
    assert not of_run.keys() & config["trainer"].keys()
    assert config["model"] == dataclasses.asdict(Config().model)


def test_classes_that_are_known_beforehand_reach_all_by_way_of_what_was_found_in_the_data():
    data = DataConfig(class_names=("ant", "bee"), synsets=("n1", "n2"))
    nodes = compiled(Config(data=data))
    import_parameters = parameters(nodes["ImportExampleGen"])
    assert import_parameters["class_names"] == ["ant", "bee"]
    assert import_parameters["rules"]["synsets"] == ["n1", "n2"]
    for node in ("DataGate", "Trainer"):
        assert producers(nodes[node], "report") == {("ImportExampleGen", "report")}


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A copy of the project's source from which the digests are taken."""
    for package in ("components", "dataset", "models", "pipeline", "served_model"):
        shutil.copytree(
            Path(digest_module.ROOT) / package,
            tmp_path / package,
            ignore=shutil.ignore_patterns("__pycache__"),
        )
    monkeypatch.setattr(digest_module, "ROOT", tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("path", "nodes"),
    [
        ("dataset/record.py", {"ImportExampleGen", "Transform", "Trainer", "Pusher"}),
        ("served_model/interface.py", {"Trainer", "ServingGate", "Pusher"}),
        (
            "components/transform/image.py",
            {"ImportExampleGen", "Transform", "Trainer", "Pusher"},
        ),
        ("components/transform/preprocessing.py", {"Transform", "Trainer", "Pusher"}),
        ("components/ingest/example_gen.py", {"ImportExampleGen"}),
        ("dataset/record_check.py", {"ImportExampleGen"}),
        ("dataset/tfrecord.py", {"ImportExampleGen"}),
        ("components/train/augmentation.py", {"Trainer", "Pusher"}),
        ("components/train/export.py", {"Trainer", "Pusher"}),
        ("models/fishnet.py", {"Trainer", "Pusher"}),
        ("components/push/serving_gate.py", {"ServingGate"}),
        ("components/push/serving_probe.py", {"ServingGate"}),
        ("components/report/outcome.py", set()),
        ("dataset/folder.py", {"ImportExampleGen"}),
        ("components/train/component.py", {"Trainer", "Pusher"}),
        ("components/tune/search.py", set()),
    ],
)
def test_edited_code_runs_again_and_nothing_else_does(root, path, nodes):
    before, tuned = compiled(), compiled(TUNED)
    (root / path).write_text((root / path).read_text() + "\n")
    assert changed(before, compiled()) == nodes
    searches = "Trainer" in nodes or "tune" in path
    assert changed(tuned, compiled(TUNED)) == nodes | ({TUNER} if searches else set())


def test_same_source_in_another_folder_has_the_same_parameters(root, monkeypatch):
    copied = compiled()
    monkeypatch.undo()
    assert not changed(copied, compiled())


def test_paths_are_those_given():
    nodes = compiled(
        paths=Paths("gs://b/data", "gs://b/artifacts", "gs://b/serving", "gs://b/ckpt")
    )
    assert parameters(nodes["ImportExampleGen"])["input_base"] == "gs://b/data"
    assert parameters(nodes["Pusher"])["destination"] == "gs://b/serving"
    assert parameters(nodes["Trainer"])["custom_config"]["checkpoints"] == "gs://b/ckpt"


def test_beams_options_pass_through_unchanged():
    args = ("--job_endpoint=host:8099", "--environment_type=DOCKER")
    config = Config(beam=BeamConfig("flink", args, shared_folders=True))
    flags = create_pipeline(config, PATHS, image="registry/fishnet").beam_pipeline_args
    assert flags[:3] == ["--runner=FlinkRunner", *args]
    assert "--environment_config=registry/fishnet" in flags


def test_folder_that_an_engines_workers_cannot_read_is_refused():
    args = ("--job_endpoint=host:8099", "--environment_type=DOCKER")
    with pytest.raises(ValueError, match="^/data: cannot be read by the workers"):
        create_pipeline(Config(beam=BeamConfig("flink", args)), PATHS, image="registry/fishnet")


@pytest.mark.parametrize(
    ("from_node", "to_node", "wanted"),
    [
        (None, None, set(NODES)),
        ("Trainer", None, {"Trainer", "Champion", "Evaluator", "ServingGate", "Pusher", REPORT}),
        (None, "DataGate", {"ImportExampleGen", "DataGate"}),
        (None, "AnomalyGate", set(NODES[: NODES.index("Transform")])),
        ("Evaluator", "Evaluator", {"Evaluator"}),
    ],
)
def test_part_of_the_nodes(tmp_path, from_node, to_node, wanted):
    assert part(tmp_path, Config(), from_node, to_node) == wanted


def part(folder: Path, config: Config, from_node: str | None, to_node: str | None) -> set[str]:
    """The nodes that run."""
    metadata = sqlite_metadata_connection_config(str(folder / "metadata.db"))
    pipeline = create_pipeline(config, PATHS, metadata_connection_config=metadata)
    return set(LocalRun(pipeline, from_node, to_node).node_ids)


@pytest.mark.parametrize(
    ("from_node", "to_node", "looks"),
    [
        ("Trainer", None, True),
        ("Transform", None, True),
        ("WarmStart", None, True),
        ("Transform", "Transform", False),
        ("Evaluator", None, False),
    ],
)
def test_training_from_the_champion_looks_for_the_last_one_anew(
    tmp_path, from_node, to_node, looks
):
    assert ("WarmStart" in part(tmp_path, FROM_CHAMPION, from_node, to_node)) is looks


# ---- on a cluster

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
