import datetime
from pathlib import Path

import pytest
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.dsl.io import fileio
from tfx.orchestration.metadata import sqlite_metadata_connection_config
from tfx.orchestration.pipeline import Pipeline
from tfx.types import standard_artifacts

from pipeline.cleaning import leftovers, remove
from pipeline.history import History
from pipeline.local_run import LocalRun
from pipeline.run_record import RecordError
from served_model.versions import VersionFolder


@component
def Count(
    log: Parameter[str],
    limit: Parameter[int],
    numbers: OutputArtifact[standard_artifacts.Examples],
) -> None:
    """Notes in the file `log` that it ran; fails below 0."""
    if limit < 0:
        raise ValueError(f"{limit} is below 0")
    with fileio.open(log, "a") as file:
        file.write("Count\n")
    with fileio.open(f"{numbers.uri}/numbers", "w") as file:
        file.write(str(limit))


@component
def Check(
    log: Parameter[str],
    limit: Parameter[int],
    numbers: InputArtifact[standard_artifacts.Examples],
    checked: OutputArtifact[standard_artifacts.ModelBlessing],
) -> None:
    """Likewise; fails above its limit."""
    with fileio.open(log, "a") as file:
        file.write("Check\n")
    with fileio.open(f"{numbers.uri}/numbers") as file:
        number = int(file.read())
    if number > limit:
        raise ValueError(f"{number} is above {limit}")
    checked.set_int_custom_property("number", number)


@pytest.fixture
def start(tmp_path):
    """Function: the nodes' parameters, first and last node → a run on the same folder."""

    def start(number: int = 3, limit: int = 5, **nodes: str) -> LocalRun:
        log = str(tmp_path / "log")
        count = Count(log=log, limit=number)
        check = Check(log=log, limit=limit, numbers=count.outputs["numbers"])
        pipeline = Pipeline(
            pipeline_name="test",
            pipeline_root=str(tmp_path / "artifacts"),
            components=[check, count],
            enable_cache=True,
            metadata_connection_config=sqlite_metadata_connection_config(
                str(tmp_path / "metadata.db")
            ),
        )
        return LocalRun(pipeline, **nodes)

    return start


@pytest.fixture
def executed(tmp_path):
    """Function: the nodes whose code ran so far."""
    return lambda: (tmp_path / "log").read_text().split()


def test_nodes_run_in_order_and_tell_what_they_made(start, executed):
    run = start()
    assert run.node_ids == ["Count", "Check"]
    count, check = (run.run_node(name) for name in run.node_ids)
    assert executed() == ["Count", "Check"]
    assert (count.id, count.cached) == ("Count", False)
    assert 0 < count.seconds < 60
    [checked] = check.outputs["checked"]
    assert checked.get_int_custom_property("number") == 3
    assert run.reuse() == []


def test_second_run_takes_what_the_first_made(start, executed):
    run = start()
    first = [run.run_node(name) for name in run.node_ids]
    run = start()
    second = [run.run_node(name) for name in run.node_ids]
    assert [node.cached for node in second] == [True, True]
    assert executed() == ["Count", "Check"]
    for before, after in zip(first, second, strict=True):
        for key, [artifact] in before.outputs.items():
            assert [found.uri for found in after.outputs[key]] == [artifact.uri]


def test_changed_parameter_runs_its_node_and_what_depends_on_it(start, executed):
    run = start()
    [run.run_node(name) for name in run.node_ids]
    run = start(number=4)
    count, check = (run.run_node(name) for name in run.node_ids)
    assert not count.cached
    assert not check.cached
    [checked] = check.outputs["checked"]
    assert checked.get_int_custom_property("number") == 4


def test_node_runs_anew_where_no_cache_is_wanted(start, executed):
    run = start()
    [run.run_node(name) for name in run.node_ids]
    run = start()
    run.run_node("Count")
    assert not run.run_node("Check", use_cache=False).cached
    assert executed() == ["Count", "Check", "Check"]


def test_what_the_node_raised_comes_out_and_the_next_run_goes_on_from_there(start, executed):
    run = start(number=9)
    run.run_node("Count")
    with pytest.raises(ValueError, match="9 is above 5"):
        run.run_node("Check")
    run = start(number=9, limit=10)
    assert run.run_node("Count").cached
    assert not run.run_node("Check").cached
    assert executed() == ["Count", "Check", "Check"]


def test_run_from_a_node_takes_what_earlier_runs_left(start, executed):
    run = start()
    [run.run_node(name) for name in run.node_ids]
    run = start(limit=6, from_node="Check")
    assert (run.node_ids, run.needed_ids) == (["Check"], ["Count"])
    [reused] = run.reuse()
    check = run.run_node("Check")
    assert not check.cached
    assert reused.id == "Count"
    assert [artifact.type_name for artifact in reused.outputs["numbers"]] == ["Examples"]
    assert executed() == ["Count", "Check", "Check"]


def test_run_from_a_node_passes_over_a_run_that_failed_before_it(tmp_path, start):
    run = start(number=4)
    [run.run_node(name) for name in run.node_ids]
    with pytest.raises(ValueError, match="-1 is below 0"):
        start(number=-1).run_node("Count")
    run = start(limit=6, from_node="Check")
    run.take_from(History(tmp_path).newest_with(run.needed_ids).started)
    [reused] = run.reuse()
    [numbers] = reused.outputs["numbers"]
    assert Path(numbers.uri, "numbers").read_text() == "4"
    [checked] = run.run_node("Check").outputs["checked"]
    assert checked.get_int_custom_property("number") == 4


def test_run_whose_artifacts_are_deleted_has_nothing_to_take(tmp_path, start):
    run = start()
    run.run_node("Count")
    history = History(tmp_path, change=True)
    assert history.newest_with(["Count"])
    with pytest.raises(RecordError, match="no earlier run in .*: Count, Check. Start at an"):
        history.newest_with(["Count", "Check"])
    history.mark_deleted(history.artifacts.values())
    with pytest.raises(RecordError):
        History(tmp_path).newest_with(["Count"])


def test_run_to_a_node_ends_there(start, executed):
    run = start(to_node="Count")
    assert run.node_ids == ["Count"]
    run.run_node("Count")
    assert run.reuse() == []
    assert executed() == ["Count"]


def test_nodes_of_which_none_lies_between_are_refused(start):
    with pytest.raises(ValueError, match="Count does not come after Check"):
        start(from_node="Check", to_node="Count")


def test_run_after_a_removal_takes_what_is_left_and_makes_anew_what_is_gone(
    tmp_path, start, executed
):
    for number in (3, 4):
        run = start(number=number)
        [run.run_node(name) for name in run.node_ids]
    history, versions = History(tmp_path, change=True), VersionFolder(tmp_path / "serving")
    found = leftovers(tmp_path, history, versions, 1, datetime.timedelta(0))
    assert [leftover.node for leftover in found] == ["Count", "Check"]
    remove(history, found)

    run = start(number=4)  # whose cache was kept
    assert all(run.run_node(name).cached for name in run.node_ids)
    run = start(number=3)
    nodes = [run.run_node(name) for name in run.node_ids]
    assert not any(node.cached for node in nodes)
    assert executed() == ["Count", "Check"] * 3
    [numbers] = nodes[0].outputs["numbers"]
    assert Path(numbers.uri, "numbers").read_text() == "3"


def test_record_of_a_removal_keeps_the_cache_from_taking_what_is_half_gone(
    tmp_path, start, executed
):
    run = start()
    [run.run_node(name) for name in run.node_ids]
    history = History(tmp_path, change=True)
    history.mark_deleted(history.artifacts.values())
    run = start()
    assert not any(run.run_node(name).cached for name in run.node_ids)
    assert executed() == ["Count", "Check"] * 2
