"""The DAG: what each node takes from which other, and which nodes are a part of it."""

import dataclasses
import json
from pathlib import Path

import pytest
from compiled_nodes import (
    FROM_CHAMPION,
    PATHS,
    TUNED,
    compiled,
    parameters,
    producers,
)
from tfx.orchestration.metadata import sqlite_metadata_connection_config

from pipeline.config import BeamConfig, Config, DataConfig, TransformConfig
from pipeline.local_run import LocalRun
from pipeline.nodes import NODES, REPORT, TUNER
from pipeline.pipeline import Paths, create_pipeline
from pipeline.reported import REPORTED
from pipeline.target import Target


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


def test_report_is_made_of_what_is_there():
    """Of a run that failed as well: no input is needed."""
    report = compiled(TUNED)[REPORT]
    assert set(report["inputs"]["inputs"]) == set(REPORTED)
    assert not any("minCount" in found for found in report["inputs"]["inputs"].values())
    assert "tuner_results" not in compiled()[REPORT]["inputs"]["inputs"]


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
