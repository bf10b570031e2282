"""Which nodes run again for another config or code, and that no other does."""

import dataclasses
import shutil
from pathlib import Path

import pytest
from compiled_nodes import (
    TUNED,
    changed,
    compiled,
)

from pipeline import source_digest as digest_module
from pipeline.config import Config, EvaluatorConfig
from pipeline.nodes import TUNER
from pipeline.training_config import ModelConfig


@pytest.mark.parametrize("reset", [False, True])
def test_flag_that_resets_the_champion_reaches_it_and_changes_nothing_else(reset):
    nodes = compiled(Config(evaluator=EvaluatorConfig(reset_champion=reset)))
    assert not changed(compiled(), nodes)
    [graph] = nodes["Champion"]["inputs"]["inputGraphs"].values()
    [strategy] = [node["opNode"] for node in graph["nodes"].values() if "opNode" in node]
    assert strategy["kwargs"]["reset"]["value"]["fieldValue"] == {"stringValue": str(reset).lower()}


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
