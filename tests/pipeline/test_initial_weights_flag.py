"""`--model.weights` as the command line and the DAG see it."""

import hashlib

import pytest

from pipeline.config import Config
from pipeline.initial_weights import check, described
from pipeline.target import Target
from pipeline.training_config import ModelConfig, TrainerConfig


def config(weights: str | None, **trainer: object) -> Config:
    return Config(model=ModelConfig(weights=weights), trainer=TrainerConfig(**trainer))


@pytest.mark.parametrize("suffix", [".keras", ".npz", ".tar", ".pth"])
def test_files_that_are_taken(suffix, tmp_path):
    file = tmp_path / f"of an earlier run{suffix}"
    file.write_bytes(b"weights")
    check(config(str(file), freeze_backbone=True), Target.LOCAL)
    sha256 = hashlib.sha256(b"weights").hexdigest()
    told = {"file": str(file), "sha256": sha256, "champion": False}
    assert described(str(file), Target.LOCAL) == told
    assert described(str(file), Target.KFP) == {**told, "sha256": ""}


@pytest.mark.parametrize("target", [Target.LOCAL, Target.VERTEX])
def test_champion_is_taken_where_there_is_a_record_of_what_was_blessed(target):
    check(config("champion", backbone_rate=0.1), target)
    assert described("champion", target) == {"file": "", "sha256": "", "champion": True}


@pytest.mark.parametrize(
    ("weights", "trainer", "target", "message"),
    [
        ("nowhere.npz", {}, Target.LOCAL, r"nowhere\.npz: cannot be read \(No such file"),
        ("folder.keras", {}, Target.LOCAL, r"folder\.keras: cannot be read \(Is a directory"),
        ("weights.h5", {}, Target.LOCAL, r"weights\.h5: must end in \.keras, .*or be champion"),
        ("gs://b/weights", {}, Target.KFP, r"gs://b/weights: must end in \.keras"),
        ("gs://b/w.tar", {}, Target.KFP, r"gs://b/w\.tar: .* no PyTorch.* \.npz"),
        ("gs://b/w.pth", {}, Target.VERTEX, r"gs://b/w\.pth: .* no PyTorch.* \.npz"),
        ("champion", {}, Target.KFP, "champion: not on Kubeflow, .* give the URI"),
        (None, {"freeze_backbone": True}, Target.LOCAL, "give --model.weights FILE"),
        (None, {"backbone_rate": 0.5}, Target.KFP, "give --model.weights FILE"),
    ],
)
def test_what_is_refused(weights, trainer, target, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.keras").mkdir()
    with pytest.raises(ValueError, match=message):
        check(config(weights, **trainer), target)
