import contextlib
import io
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from tfx.types import standard_artifacts

from components.report.verdict import Verdict
from components.tune.trials import Trial, table, write_trials
from dataset import record
from dataset.errors import DataError
from dataset.folder import Dataset
from pipeline.config import Config, DataConfig
from pipeline.disk_space import DiskSpaceError
from pipeline.local_run import NodeRun
from pipeline.nodes import REPORT
from pipeline.run_record import METADATA_FILE
from pipeline.runs import INDEX_FILE, RUNS, SUMMARY_FILE
from pipeline.session import Session, _with_classes
from pipeline.training_config import ModelConfig, TrainerConfig


class FakeRun:
    """Two nodes, of which the first calls `work`, and the report; instead of a LocalRun."""

    node_ids = ("First", "Second", REPORT)

    def __init__(self, work: Callable[[], None], folder: Path | None = None) -> None:
        self._work = work
        self._folder = folder
        self.ran: list[str] = []

    def run_node(self, node_id: str, use_cache: bool) -> NodeRun:
        self.ran.append(node_id)
        if node_id == "First":
            self._work()
        outputs = {}
        if node_id == REPORT:
            for key in ("page", "card"):
                outputs[key] = [standard_artifacts.String()]
                outputs[key][0].uri = str(self._folder / f"made.{key}")
                (self._folder / f"made.{key}").write_text(f"the {key}")
        return NodeRun(node_id, seconds=0.0, cached=False, peak_mb=None, outputs=outputs)

    def reuse(self) -> list[NodeRun]:
        return []


class Garbage:
    """Ctrl-C comes while Python collects it."""

    def __del__(self) -> None:
        press_ctrl_c()


def press_ctrl_c() -> None:
    os.kill(os.getpid(), signal.SIGINT)
    sum(range(1000))  # Python calls the handler some instructions later


def press_ctrl_c_unheard() -> None:
    with contextlib.suppress(KeyboardInterrupt):
        press_ctrl_c()


def drop_garbage() -> None:
    Garbage()


@pytest.fixture
def session(tmp_path) -> Session:
    return Session(
        config=Config(),
        data=tmp_path / "data",
        embedded_data=False,
        output=tmp_path,
        console=Console(file=io.StringIO(), markup=False, soft_wrap=True),
    )


@pytest.fixture
def carry_out(session, monkeypatch):
    """Function: the first node's work, what is done before it → verdict, nodes that were begun."""

    def carry_out(
        work: Callable[[], None], before: Callable[[], None] = lambda: None
    ) -> tuple[Verdict, list[str]]:
        fake = FakeRun(work, session.output)
        monkeypatch.setattr(session, "_open_dataset", before)
        monkeypatch.setattr(session, "_plan", lambda dataset: fake)
        return session.run(session.output / "log"), fake.ran

    return carry_out


@pytest.fixture
def handler():
    """Python's own handler of Ctrl-C, which tests that run in a shell's background lack."""
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield signal.default_int_handler
    signal.signal(signal.SIGINT, previous)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("work", [press_ctrl_c, press_ctrl_c_unheard, drop_garbage])
def test_ctrl_c_ends_the_run_also_where_the_node_does_not_hear_of_it(
    session, carry_out, handler, work
):
    assert carry_out(work) == (Verdict.FAILED, ["First"])
    summary = json.loads((session.output / SUMMARY_FILE).read_text("utf-8"))
    assert summary["message"] == "interrupted; the same command goes on from here"
    assert signal.getsignal(signal.SIGINT) is handler


def test_ctrl_c_that_is_not_heard_before_the_nodes(carry_out, handler):
    verdict, ran = carry_out(lambda: None, before=press_ctrl_c_unheard)
    assert (verdict, ran) == (Verdict.FAILED, [])


def test_without_ctrl_c_all_nodes_run(carry_out, handler):
    assert carry_out(lambda: None) == (Verdict.PARTIAL, ["First", "Second", REPORT])
    assert signal.getsignal(signal.SIGINT) is handler


def fail() -> None:
    raise OSError("No space left on device")


@pytest.mark.parametrize(("work", "verdict"), [(lambda: None, "partial"), (fail, "failed")])
def test_report_of_every_run_stands_in_the_output_folder_and_in_the_runs_own(
    session, carry_out, work, verdict
):
    carry_out(work)
    summary = json.loads((session.output / SUMMARY_FILE).read_text("utf-8"))
    assert (summary["verdict"], summary["report"]) == (verdict, str(session.output / "report.html"))
    own = session.output / RUNS / "log"
    assert json.loads((own / SUMMARY_FILE).read_text("utf-8")) == summary
    for folder in (session.output, own):
        assert (folder / "report.html").read_text() == "the page"
        assert (folder / "model_card.md").read_text() == "the card"
    assert "runs/log/report.html" in (session.output / INDEX_FILE).read_text("utf-8")


def test_run_that_was_to_make_the_report_alone_fails_without_it(session, carry_out, monkeypatch):
    monkeypatch.setattr(FakeRun, "node_ids", [REPORT])
    assert carry_out(lambda: None) == (Verdict.PARTIAL, [REPORT])
    monkeypatch.setattr(FakeRun, "run_node", lambda *_, **__: fail())
    assert carry_out(lambda: None) == (Verdict.FAILED, [])
    summary = json.loads((session.output / SUMMARY_FILE).read_text("utf-8"))
    assert summary["verdict"] == "failed"
    assert summary["message"] == "no report: OSError: No space left on device"


def test_class_names_that_are_too_few_are_refused_as_the_datas(session):
    config = Config(data=DataConfig(class_names=("ant", "bee")))
    dataset = Dataset(session.data, {}, {}, None, ("n01", "n02", "n03"))
    with pytest.raises(DataError, match=r"2 class names for 3 classes.*--data\.class_names"):
        _with_classes(config, dataset)


def lose_the_record(output: Path) -> None:
    (output / METADATA_FILE).write_text("not a database")
    raise RuntimeError("Cannot create node for type_id: 29")


def test_record_that_was_damaged_meanwhile_is_named_instead_of_a_query(session, carry_out):
    assert carry_out(lambda: lose_the_record(session.output))[0] is Verdict.FAILED
    message = json.loads((session.output / SUMMARY_FILE).read_text("utf-8"))["message"]
    assert "metadata.db: the record of earlier runs cannot be read" in message
    assert "type_id" not in message


def test_run_does_not_fail_by_its_report(session, carry_out, monkeypatch):
    (session.output / "report.html").write_text("of an earlier run")
    monkeypatch.setattr("pipeline.runs.shutil.copyfile", lambda *_: fail())
    assert carry_out(lambda: None)[0] is Verdict.PARTIAL
    assert not (session.output / "report.html").exists()
    assert json.loads((session.output / SUMMARY_FILE).read_text("utf-8"))["report"] is None
    assert "no report: OSError: No space left on device" in session.console.file.getvalue()


def test_ctrl_c_of_another_job_of_the_shell_is_ignored(carry_out, handler):
    """As a shell has it for what it starts in the background."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    assert carry_out(press_ctrl_c) == (Verdict.PARTIAL, ["First", "Second", REPORT])
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_dry_run_tells_that_no_node_lies_between(session, monkeypatch):
    def plan(dataset):
        raise ValueError("nothing to run")

    monkeypatch.setattr("pipeline.session.read_dataset", lambda folder: None)
    monkeypatch.setattr(session, "_plan", plan)
    assert session.dry_run() is Verdict.FAILED
    assert session.console.file.getvalue() == "error: nothing to run\n"


def test_dry_run_tells_what_cannot_be_read(session):
    for split in record.SPLITS:
        shard = session.data / record.shard_name(split, 0, 1)
        shard.parent.mkdir(parents=True)
        shard.touch()
    manifest = session.data / record.MANIFEST_FILE
    manifest.mkdir()
    assert session.dry_run() is Verdict.FAILED
    assert session.console.file.getvalue() == f"error: [Errno 21] Is a directory: '{manifest}'\n"


def test_table_of_the_tuners_trials_follows_its_line(session, monkeypatch, tmp_path):
    results = standard_artifacts.TunerResults()
    results.uri = str(tmp_path)
    trials = [Trial({"model.width": 0.5}, 10, 1.5, 0.25, 2.0, "trained")]
    write_trials(results.uri, trials)

    class Search(FakeRun):
        node_ids = ("Tuner",)

        def run_node(self, node_id: str, use_cache: bool) -> NodeRun:
            return NodeRun(node_id, 1.0, True, None, outputs={"tuner_results": [results]})

    monkeypatch.setattr(session, "_open_dataset", lambda: None)
    monkeypatch.setattr(session, "_plan", lambda dataset: Search(lambda: None))
    session.run(session.output / "log")
    lines = session.console.file.getvalue().splitlines()
    assert lines[:3] == [f"{'Tuner':<21} cached", *table(trials).splitlines()]


def test_weights_of_another_network_are_refused_before_anything_runs(session, tmp_path):
    np.savez(tmp_path / "weights.npz", **{"conv1.0.weight": np.zeros((8, 3, 3, 3))})
    model = ModelConfig("fishnet_tiny", weights=str(tmp_path / "weights.npz"))
    session.config = Config(model=model)
    session.embedded_data = True  # yet to be written
    assert session.dry_run() is Verdict.FAILED
    told = session.console.file.getvalue()
    assert f"error: {tmp_path}/weights.npz: does not hold the weights of fishnet_tiny" in told


def test_dry_run_tells_of_a_record_in_which_no_champion_can_be_looked_up(session):
    (session.output / METADATA_FILE).write_bytes(b"no record")
    session.config = Config(model=ModelConfig(weights="champion"))
    session.embedded_data = True
    assert session.dry_run() is Verdict.FAILED
    told = session.console.file.getvalue()
    assert f"error: {session.output / METADATA_FILE}: the record of earlier runs cannot be" in told


def test_backbone_is_not_spared_before_there_is_a_champion(session):
    session.config = Config(
        model=ModelConfig(weights="champion"), trainer=TrainerConfig(backbone_rate=0.5)
    )
    session.embedded_data = True
    assert session.dry_run() is Verdict.FAILED
    assert "no weights to start from" in session.console.file.getvalue()


def test_too_little_space_ends_the_run_before_its_first_node(session, carry_out):
    def before() -> None:
        raise DiskSpaceError("the run needs about 9 GB, and 1 GB are free")

    assert carry_out(lambda: None, before) == (Verdict.FAILED, [])
    summary = json.loads((session.output / SUMMARY_FILE).read_text("utf-8"))
    assert summary["message"] == "the run needs about 9 GB, and 1 GB are free"
