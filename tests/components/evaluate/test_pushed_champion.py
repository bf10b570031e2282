import logging
from pathlib import Path

import pytest
from tfx.dsl.io import fileio
from tfx.types import standard_artifacts
from tfx.utils import path_utils

from components.evaluate.pushed_champion import PushedChampion
from served_model.files import digest, model_files
from served_model.receipt import Receipt
from served_model.store import VersionStore, copy_model
from served_model.versions import VersionFolder


def saved_model(folder: Path, weights: str) -> str:
    (folder / "variables").mkdir(parents=True, exist_ok=True)
    (folder / "saved_model.pb").write_text("graph")
    (folder / "variables" / "variables.data").write_text(weights)
    return str(folder)


@pytest.fixture(params=["folder", "store"])
def served(request, tmp_path, store):
    """The folder of versions that Pusher pushes to, or its URI in an object store."""
    return {"folder": str(tmp_path / "serving" / "fishnet"), "store": "memory://b/fishnet"}[
        request.param
    ]


@pytest.fixture
def push(served, tmp_path):
    """Function: pushes a model of the weights as Pusher does; returns the version."""

    def push(weights: str) -> int:
        model = saved_model(tmp_path / f"pushed {weights}", weights)
        receipt = Receipt(digest(model, model_files(model)))
        if "://" in served:
            return VersionStore(served, fileio).push(model, receipt, keep=5)[0]
        folder = VersionFolder(Path(served))
        return folder.push(lambda copy: copy_model(model, copy, fileio), receipt, keep=5)[0]

    return push


@pytest.fixture
def champion(served, tmp_path):
    """Function: the candidate's weights → the champion's folder, where Evaluator looks for it."""

    def champion(candidate: str) -> Path:
        trained, model = standard_artifacts.Model(), standard_artifacts.Model()
        trained.uri, model.uri = str(tmp_path / "trained"), str(tmp_path / "champion")
        saved_model(Path(trained.uri) / "Format-Serving", candidate)
        PushedChampion.test_call(candidate=trained, model=model, destination=served)
        return Path(path_utils.serving_model_path(model.uri))

    return champion


def weights(model: Path) -> str:
    return (model / "variables" / "variables.data").read_text()


def test_there_is_none_before_the_first_push(champion, served, caplog):
    caplog.set_level(logging.INFO)
    assert not champion("a").exists()
    assert f"Champion: none. There is no version in {served}" in caplog.text


def test_it_is_the_newest_version(push, champion, served, caplog):
    caplog.set_level(logging.INFO)
    for model in "abc":
        version = push(model)
    found = champion("d")
    assert weights(found) == "c"
    assert sorted(path.name for path in found.rglob("*")) == [
        "saved_model.pb",
        "variables",
        "variables.data",
    ]
    assert f"Champion: {served}/{version}" in caplog.text


def test_candidate_that_an_older_version_equals_has_the_newest_one_for_champion(push, champion):
    push("a"), push("b")
    assert weights(champion("a")) == "b"


def test_candidate_that_is_served_already_is_not_its_own_champion(push, champion, served, caplog):
    caplog.set_level(logging.INFO)
    push("a")
    version = push("b")
    assert not champion("b").exists()
    assert f"Champion: none. The candidate is served already: {served}/{version}" in caplog.text


@pytest.mark.parametrize("served", ["store"], indirect=True)
def test_version_whose_upload_did_not_end_is_none(push, champion, store, served):
    push("a")
    store.remove(f"{served}/{push('b')}/saved_model.pb")
    assert weights(champion("c")) == "a"


@pytest.mark.parametrize("served", ["store"], indirect=True)
def test_only_uploads_that_did_not_end_are_no_champion(push, champion, store, served):
    store.remove(f"{served}/{push('a')}/saved_model.pb")
    assert not champion("b").exists()


@pytest.mark.parametrize("served", ["folder"], indirect=True)
def test_version_that_a_rollback_made_is_the_champion(push, champion, served):
    push("a"), push("b")
    version = VersionFolder(Path(served)).rollback()
    assert version == max(VersionFolder(Path(served)).versions())
    assert weights(champion("c")) == "a"


@pytest.mark.parametrize("served", ["folder"], indirect=True)
def test_model_that_a_rollback_took_out_of_service_is_held_against_what_is_served(
    push, champion, served
):
    push("a"), push("b")
    VersionFolder(Path(served)).rollback()
    assert weights(champion("b")) == "a"


@pytest.mark.parametrize("served", ["folder"], indirect=True)
def test_model_that_a_rollback_brought_back_is_not_its_own_champion(push, champion, served):
    push("a"), push("b")
    VersionFolder(Path(served)).rollback()
    assert not champion("a").exists()


@pytest.mark.parametrize("served", ["folder"], indirect=True)
def test_what_is_no_version_does_not_matter(push, champion, served):
    push("a")
    for name in (".tmp-9999999999", "latest", "09999999999"):
        saved_model(Path(served) / name, "z")
    assert weights(champion("b")) == "a"
