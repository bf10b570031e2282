import os
import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest

from served_model import versions as model_versions
from served_model.files import digest, model_files
from served_model.receipt import RECEIPT_FILE, Receipt
from served_model.versions import LOCK_FILE, VersionError, VersionFolder

KEEP = 100


@pytest.fixture
def clock(monkeypatch):
    """The time by which versions are numbered; set `now`."""
    clock = SimpleNamespace(now=1000.9)
    monkeypatch.setattr(model_versions, "time", SimpleNamespace(time=lambda: clock.now))
    return clock


@pytest.fixture
def folder(tmp_path, clock) -> VersionFolder:
    return VersionFolder(tmp_path / "serving" / "fishnet")


@pytest.fixture
def push(tmp_path, folder):
    """Function: a model's weights → the version that is served once it has been pushed."""

    def push(weights: str, keep: int = KEEP, copy=shutil.copytree) -> int:
        model = tmp_path / f"model {weights}"
        (model / "variables").mkdir(parents=True, exist_ok=True)
        (model / "saved_model.pb").write_text("graph")
        (model / "variables" / "variables.data").write_text(weights)
        receipt = Receipt(digest(str(model), model_files(str(model))), metrics={"top1": 0.5})
        return folder.push(lambda staging: copy(model, staging), receipt, keep)[0]

    return push


def weights(folder: VersionFolder) -> dict[int, str]:
    """Each version's weights."""
    return {
        version: (folder.path / str(version) / "variables" / "variables.data").read_text()
        for version in folder.versions()
    }


def test_versions_are_the_folders_that_tf_serving_takes_for_one(tmp_path):
    assert VersionFolder(tmp_path / "nowhere").versions() == []
    for name in ("9", "10", ".tmp-11", "12.old", "latest", "-13", "٣", "007", "9" * 19):
        (tmp_path / name).mkdir()
    assert VersionFolder(tmp_path).versions() == [9, 10]


def test_numbers_are_the_time_and_grow_although_the_clock_is_set_back(push, clock):
    assert push("a") == 1000
    clock.now = 10
    assert [push("b"), push("c")] == [1001, 1002]
    clock.now = 2000
    assert push("d") == 2000


def test_numbers_never_come_again(push, folder, clock):
    """What was deleted, pruned, or begun and given up, a server may have seen."""
    push("a")
    shutil.rmtree(folder.path / "1000")
    assert push("b") == 1001
    clock.now = 10
    folder.prune(keep=1)
    shutil.rmtree(folder.path / "1001")
    with pytest.raises(OSError, match="disk"):
        push("c", copy=fail)
    assert push("c") == 1003
    (folder.path / ".tmp-2000").mkdir()  # of a pusher that did not write down what it began
    (folder.path / LOCK_FILE).unlink()
    assert push("d") == 1004  # swept before: nobody ever saw it
    (folder.path / LOCK_FILE).write_bytes(b"\0" * 20)  # a power cut
    assert push("e") == 1005


def fail(source, destination):
    shutil.copytree(source, destination)
    raise OSError("disk full")


def test_version_appears_only_when_it_is_whole(push, folder):
    """What a server that polls the folder sees while the model is copied: no version."""
    seen = []

    def copy_and_look(source, destination):
        shutil.copytree(source, destination)
        seen.append(folder.versions())

    push("a", copy=copy_and_look)
    assert seen == [[]]
    assert folder.versions() == [1000]


def test_copy_that_differs_from_the_model_is_not_published(push, folder):
    def copy_badly(source, destination):
        shutil.copytree(source, destination)
        Path(destination, "variables", "variables.data").write_text("b")

    with pytest.raises(OSError, match="the copy differs from the model; push it again"):
        push("a", copy=copy_badly)
    assert [path.name for path in folder.path.iterdir()] == [LOCK_FILE]


def test_files_are_on_the_disk_before_the_rename_and_the_name_after_it(push, folder, monkeypatch):
    events = []
    sync, rename = model_versions._sync, Path.rename

    def record_sync(path):
        events.append(os.path.relpath(path, folder.path))
        sync(path)

    def record_rename(self, target):
        events.append("rename")
        rename(self, target)

    monkeypatch.setattr(model_versions, "_sync", record_sync)
    monkeypatch.setattr(Path, "rename", record_rename)
    push("a")
    names = {"saved_model.pb", "variables", "variables/variables.data", "assets.extra"}
    names |= {RECEIPT_FILE, "."}
    before = events[: events.index("rename")]
    assert {os.path.relpath(path, ".tmp-1000") for path in before} == names
    assert events[events.index("rename") + 1] == "."


def test_what_a_killed_push_left_is_swept(push, folder):
    push("a")
    (folder.path / ".tmp-1000" / "variables").mkdir(parents=True)
    push("a")
    assert {path.name for path in folder.path.iterdir()} == {LOCK_FILE, "1000"}


def test_oldest_versions_are_pruned_and_what_is_open_can_be_read_on(push, folder):
    push("a", keep=2)
    with (folder.path / "1000" / "variables" / "variables.data").open() as file:
        push("b", keep=2)
        push("c", keep=2)
        assert weights(folder) == {1001: "b", 1002: "c"}
        assert file.read() == "a"
    assert folder.prune(keep=5) == []
    assert folder.prune(keep=1) == [1001]
    assert {path.name for path in folder.path.iterdir()} == {LOCK_FILE, "1002"}


def test_second_pusher_waits_for_the_first(push, folder, caplog):
    copying, go_on = threading.Event(), threading.Event()

    def copy_slowly(source, destination):
        copying.set()
        assert go_on.wait(10)
        shutil.copytree(source, destination)

    with ThreadPoolExecutor() as pool:
        first = pool.submit(push, "a", copy=copy_slowly)
        assert copying.wait(10)
        second = pool.submit(push, "b")
        rollback = pool.submit(folder.rollback)
        deadline = time.monotonic() + 10
        while caplog.text.count("waiting for it") < 2 and time.monotonic() < deadline:
            time.sleep(0.001)
        seen = folder.versions()
        go_on.set()
        assert seen == []
        assert first.result() == 1000
        second.result()
        assert rollback.exception() is None or isinstance(rollback.exception(), VersionError)
    assert weights(folder)[1000] == "a"
    assert "b" in weights(folder).values()


def test_pushers_at_once_make_a_version_each(push, folder):
    models = [f"{number:02}" for number in range(20)]
    with ThreadPoolExecutor(4) as pool:
        versions = list(pool.map(push, models))
    assert len(set(versions)) == 20
    assert weights(folder) == dict(zip(versions, models, strict=True))


def test_rollback_makes_the_version_before_the_newest(push, folder):
    push("a")
    push("b")
    assert folder.rollback() == 1002
    assert weights(folder) == {1000: "a", 1001: "b", 1002: "a"}
    receipt = folder.receipt(1002)
    assert (receipt.version, receipt.copy_of, receipt.metrics) == (1002, 1000, {"top1": 0.5})
    assert receipt.withdrawn == (folder.receipt(1001).model_digest,)
    assert folder.receipt(1000).version == 1000  # the files are shared, the receipts are not


def test_rollbacks_go_back_one_model_each_and_not_to_and_fro(push, folder):
    for model in "abc":
        push(model)
    folder.rollback()
    folder.rollback()
    assert list(weights(folder).values()) == ["a", "b", "c", "b", "a"]
    with pytest.raises(VersionError, match="no version older than 1000, whose model is served"):
        folder.rollback()
    bad = {folder.receipt(version).model_digest for version in (1001, 1002)}
    assert set(folder.receipt(1004).withdrawn) == bad


def test_rollback_to_a_version_forward_and_to_what_is_served(push, folder):
    for model in "abc":
        push(model)
    assert folder.rollback(to=1000) == 1003
    assert folder.rollback(to=1000) == 1003  # it is served
    assert folder.rollback(to=1002) == 1004
    assert weights(folder)[1004] == "c"
    assert folder.receipt(1002).model_digest not in folder.receipt(1004).withdrawn


def test_rollback_that_cannot_be(push, folder):
    with pytest.raises(VersionError, match="holds no versions"):
        folder.rollback()
    push("a")
    with pytest.raises(VersionError, match="no version older than 1000"):
        folder.rollback()
    with pytest.raises(VersionError, match="has no version 7; there are 1000"):
        folder.rollback(to=7)
    push("b")
    (folder.path / "1000" / "variables" / "variables.data").write_text("c")
    with pytest.raises(VersionError, match="1000 is damaged"):
        folder.rollback()
    assert list(weights(folder)) == [1000, 1001]


def test_rollback_from_a_damaged_version_and_among_versions_without_receipts(push, folder):
    push("a")
    push("b")
    (folder.path / "1001" / "saved_model.pb").unlink()
    for version in (1000, 1001):
        (folder.path / str(version) / RECEIPT_FILE).unlink()
    assert folder.rollback() == 1002
    assert weights(folder)[1002] == "a"
    assert folder.receipt(1002).withdrawn == ()


@pytest.mark.parametrize("links", [True, False], ids=["links", "no links"])
def test_rollback_takes_no_space_where_links_can_be_made(push, folder, links, monkeypatch):
    def refuse(self, target):
        raise PermissionError

    push("a")
    push("b")
    if not links:
        monkeypatch.setattr(Path, "hardlink_to", refuse)
    folder.rollback()
    name = "variables/variables.data"
    assert (folder.path / "1002" / name).samefile(folder.path / "1000" / name) is links
    folder.prune(keep=1)
    assert weights(folder) == {1002: "a"}
