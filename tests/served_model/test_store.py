from concurrent.futures import ThreadPoolExecutor

import pytest
from tfx.dsl.io import fileio

from served_model.files import digest, model_files
from served_model.receipt import RECEIPT_FILE, Receipt
from served_model.store import VersionStore

BASE = "memory://bucket/serving"


@pytest.fixture
def push(tmp_path, store):
    """Function: a model's weights → (version that is served, whether it is new)."""

    def push(weights: str, keep: int = 3) -> tuple[int, bool]:
        model = tmp_path / f"model {weights}"
        (model / "variables").mkdir(parents=True, exist_ok=True)
        (model / "saved_model.pb").write_text("graph")
        (model / "zebra.txt").write_text("after saved_model.pb in the alphabet")
        (model / "variables" / "variables.data").write_text(weights)
        receipt = Receipt(digest(str(model), model_files(str(model))))
        return VersionStore(BASE, fileio).push(str(model), receipt, keep)

    return push


def weights(version: int) -> str:
    with fileio.open(f"{BASE}/{version}/variables/variables.data") as file:
        return file.read()


def test_saved_model_pb_is_the_last_to_come_and_the_first_to_go(push, store):
    version, pushed = push("a")
    assert pushed
    assert weights(version) == "a"
    folder = f"{BASE}/{version}"
    written = [name for action, name in store.log if name.startswith(folder)]
    assert written[-1] == f"{folder}/saved_model.pb"
    assert set(written) == {
        f"{folder}/{name}"
        for name in ("saved_model.pb", "variables/variables.data", "zebra.txt", RECEIPT_FILE)
    }
    push("b", keep=1)
    removed = [name for action, name in store.log if action == "remove" and folder in name]
    assert removed[0] == f"{folder}/saved_model.pb"
    assert VersionStore(BASE, fileio).versions() != [version]


def test_same_model_is_not_pushed_again_but_an_upload_that_was_cut_off_is_not_that_model(
    push, store
):
    version, _ = push("a")
    assert push("a") == (version, False)
    store.remove(f"{BASE}/{version}/saved_model.pb")
    newer, pushed = push("a")
    assert pushed
    assert newer > version


def test_a_slash_at_the_end_is_no_other_folder(push, store):
    version, _ = push("a")
    assert VersionStore(f"{BASE}/", fileio).versions() == [version]
    assert VersionStore(f"{BASE}/", fileio).newest() == f"{BASE}/{version}"


def test_numbers_never_come_again(push, store):
    first, _ = push("a")
    store.rmtree(f"{BASE}/{first}")
    second, _ = push("b")
    assert second > first
    claims = [name for name in store.listdir(BASE) if name.startswith(".claim-")]
    assert [name.split("-")[1] for name in claims] == [str(second)]


def test_old_versions_are_pruned_and_cut_off_uploads_that_are_older_than_what_stays(push, store):
    versions = [push(model)[0] for model in "abc"]
    store.remove(f"{BASE}/{versions[1]}/saved_model.pb")
    fourth, _ = push("d")
    assert VersionStore(BASE, fileio).versions() == [*versions, fourth]  # three of them are whole
    fifth, _ = push("e", keep=2)
    assert VersionStore(BASE, fileio).versions() == [fourth, fifth]


def test_failed_upload_leaves_no_version(push, store, monkeypatch):
    def cut_off(name, mode="r"):
        if "w" in mode and name.startswith("memory://") and name.endswith("variables.data"):
            raise OSError("connection reset")
        return real(name, mode)

    first, _ = push("a")
    real = fileio.open
    with monkeypatch.context() as patch:
        patch.setattr(fileio, "open", cut_off)
        with pytest.raises(OSError, match="connection reset"):
            push("b")
    assert VersionStore(BASE, fileio).versions() == [first]
    assert weights(push("b")[0]) == "b"


def test_number_that_another_pusher_claims_is_left_to_it(push, store, monkeypatch):
    claimed = []

    def opened(path, mode="r"):
        if "w" in mode and ".claim-" in path:
            claimed.append(int(path.split("-")[1]))
            if len(claimed) == 1:  # the other one's comes between the look before and that after
                store.objects[f"{BASE}/.claim-{claimed[0]}-0"] = b"0"
        return real(path, mode)

    real = store.open
    monkeypatch.setattr(store, "open", opened)
    version, _ = push("a")
    assert [version] == claimed[1:]
    assert version > claimed[0]


def test_pushers_at_once_make_a_version_each(push, store):
    models = [f"{number:02}" for number in range(20)]
    with ThreadPoolExecutor(8) as pool:
        versions = [version for version, _ in pool.map(lambda model: push(model, 100), models)]
    assert len(set(versions)) == 20
    assert [weights(version) for version in versions] == models
