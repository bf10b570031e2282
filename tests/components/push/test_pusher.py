import itertools
import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from tfx.dsl.components.base.base_executor import BaseExecutor
from tfx.types import standard_artifacts

from components.ingest.report import REPORT_FILE, DataReport
from components.push import launcher_paths, pusher
from components.push.pusher import UNCHANGED, Executor
from served_model import versions as model_versions
from served_model.files import digest
from served_model.receipt import RECEIPT_FILE
from served_model.versions import VersionFolder


@pytest.fixture
def clock(monkeypatch):
    """The time that Pusher sees; set `now`."""
    clock = SimpleNamespace(now=1_700_000_000.9)
    monkeypatch.setattr(model_versions, "time", SimpleNamespace(time=lambda: clock.now))
    return clock


@pytest.fixture
def base(tmp_path):
    return tmp_path / "serving" / "fishnet"


@pytest.fixture
def push(tmp_path, base, clock):
    """Function: a model's weights → Pusher's artifact after Pusher ran on that model."""
    executions = itertools.count()

    def push(weights: str, blessed: bool = True, base=base, context=None, run=None, **inputs):
        model = standard_artifacts.Model()
        model.uri = str(tmp_path / f"model {weights}")
        folder = Path(model.uri) / "Format-Serving"
        (folder / "variables").mkdir(parents=True, exist_ok=True)
        (folder / "saved_model.pb").write_text("graph")
        (folder / "variables" / "variables.data").write_text(weights)
        blessing = standard_artifacts.ModelBlessing()
        blessing.set_int_custom_property("blessed", int(blessed))
        pushed = standard_artifacts.PushedModel()
        pushed.uri = str(tmp_path / f"pushed {next(executions)}")
        parameters = {"destination": str(base), "keep_versions": 3, "source": "c0de"}
        Executor(context or BaseExecutor.Context()).Do(
            {"model": [model], "model_blessing": [blessing], **inputs},
            {"pushed_model": [pushed]},
            {**parameters, "pipeline": "fishnet", "run": run},
        )
        return pushed

    return push


def versions(base: Path) -> list[str]:
    return list(map(str, VersionFolder(base).versions()))


def weights(version: Path) -> str:
    return (version / "variables" / "variables.data").read_text()


def test_blessed_model_becomes_a_version_of_the_time_it_was_pushed_at(push, base):
    pushed = push("a")
    assert versions(base) == ["1700000000"]
    version = base / "1700000000"
    assert weights(version) == "a"
    assert (version / "saved_model.pb").read_text() == "graph"
    assert pushed.get_int_custom_property("pushed") == 1
    assert pushed.get_int_custom_property(UNCHANGED) == 0
    assert pushed.get_string_custom_property("pushed_version") == "1700000000"
    assert pushed.get_string_custom_property("pushed_destination") == str(version)
    assert weights(Path(pushed.uri)) == "a"


def test_model_that_was_not_blessed_is_not_pushed(push, base):
    pushed = push("a", blessed=False)
    assert not base.exists()
    assert pushed.get_int_custom_property("pushed") == 0
    assert not pushed.get_string_custom_property("pushed_destination")


def test_model_that_is_served_already_is_not_pushed_again(push, base, clock):
    push("a")
    clock.now += 60
    pushed = push("a")
    assert versions(base) == ["1700000000"]
    assert pushed.get_int_custom_property("pushed") == 1
    assert pushed.get_int_custom_property(UNCHANGED) == 1
    assert pushed.get_string_custom_property("pushed_version") == "1700000000"


def test_model_that_only_an_older_version_equals_is_pushed(push, base, clock):
    for now, model in ((1, "a"), (2, "b"), (3, "a")):
        clock.now = now
        assert push(model).get_int_custom_property(UNCHANGED) == 0
    assert versions(base) == ["1", "2", "3"]
    assert weights(base / "3") == "a"


def test_damaged_version_is_pushed_anew(push, base):
    push("a")
    (base / "1700000000" / "variables" / "variables.data").unlink()
    assert push("a").get_int_custom_property(UNCHANGED) == 0
    (base / "1700000001" / "saved_model.pb").unlink()
    assert push("a").get_int_custom_property(UNCHANGED) == 0
    assert weights(base / "1700000002") == "a"


def test_model_that_a_rollback_took_out_of_service_is_not_pushed_again(push, base, clock):
    """A pipeline that runs every night must not undo in the night what the operator did."""
    for now, model in ((1, "a"), (2, "b")):
        clock.now = now
        push(model)
    assert VersionFolder(base).rollback() == 3
    pushed = push("b")
    assert versions(base) == ["1", "2", "3"]
    assert pushed.get_int_custom_property(UNCHANGED) == 1
    assert pushed.get_string_custom_property("pushed_version") == "3"
    assert push("c").get_string_custom_property("pushed_version") == "4"


def test_as_many_versions_stay_as_the_config_says(push, base):
    for model in "abcde":
        push(model)
    assert [weights(base / version) for version in versions(base)] == ["c", "d", "e"]


def test_folder_without_a_model_is_not_pushed(push, base, tmp_path, monkeypatch):
    push("a")
    monkeypatch.setattr(Executor, "GetModelPath", lambda *_: str(tmp_path))
    with pytest.raises(FileNotFoundError, match=r"holds no SavedModel: it has no saved_model\.pb"):
        push("b")
    assert versions(base) == ["1700000000"]


def test_push_that_dies_while_it_copies_leaves_no_version_and_can_be_repeated(
    push, base, monkeypatch
):
    def copy_half(source, destination, files):
        (Path(destination) / "variables").mkdir(parents=True)
        raise OSError("No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(pusher, "copy_model", copy_half)
        with pytest.raises(OSError, match="No space left"):
            push("a")
    left = [path.name for path in base.iterdir()]
    assert left == [model_versions.LOCK_FILE]  # more would keep the next push from success
    push("a")
    assert [weights(base / version) for version in versions(base)] == ["a"]


def test_receipt_tells_where_the_model_came_from(push, base, tmp_path, monkeypatch):
    evaluation, report = standard_artifacts.ModelEvaluation(), DataReport()
    report.uri = str(tmp_path)
    (tmp_path / REPORT_FILE).write_text("shards")
    monkeypatch.setattr(pusher, "_metrics", lambda uri: {"top1": 0.98})
    context = BaseExecutor.Context(pipeline_run_id="2026-11-23T07")
    push("a", context=context, evaluation=[evaluation], data_report=[report])
    receipt = json.loads((base / "1700000000" / RECEIPT_FILE).read_text())
    assert len(receipt.pop("model_digest")) == 64
    assert receipt.pop("pushed_at").endswith("+00:00")
    assert receipt == {
        "model_uri": str(tmp_path / "model a" / "Format-Serving"),
        "metrics": {"top1": 0.98},
        "data_digest": digest(str(tmp_path), [REPORT_FILE]),
        "code_digest": "c0de",
        "pipeline": "fishnet",
        "run": "2026-11-23T07",
        "version": 1_700_000_000,
        "copy_of": None,
        "withdrawn": [],
    }


def test_receipt_names_the_clusters_run(push, base):
    push("a", run="6f1c-42")
    receipt = json.loads((base / "1700000000" / RECEIPT_FILE).read_text())
    assert (receipt["pipeline"], receipt["run"]) == ("fishnet", "6f1c-42")


def test_receipt_of_a_model_in_a_pod_has_its_uri(push, base, tmp_path, monkeypatch):
    """The path would be another model's in the next pod."""
    monkeypatch.setattr(launcher_paths, "FOLDERS", {"minio://": f"{tmp_path}/"})
    push("a")
    receipt = json.loads((base / "1700000000" / RECEIPT_FILE).read_text())
    assert receipt["model_uri"] == "minio://model a/Format-Serving"


def test_uri_is_pushed_to_as_an_object_store(push, monkeypatch):
    store = SimpleNamespace(push=lambda model, receipt, keep: (17, True))
    monkeypatch.setattr(
        pusher, "VersionStore", lambda uri, files: store if uri == "gs://b/s" else None
    )
    pushed = push("a", base="gs://b/s/")
    assert pushed.get_string_custom_property("pushed_destination") == "gs://b/s/17"
    assert weights(Path(pushed.uri)) == "a"
