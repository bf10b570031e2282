from pathlib import Path
from types import SimpleNamespace

import pytest
from tfx import v1 as tfx
from tfx.types import standard_artifacts
from tfx.utils import proto_utils

from components import pusher
from components.pusher import UNCHANGED, Executor, newest_version


@pytest.fixture
def clock(monkeypatch):
    """The time that Pusher sees; set `now`."""
    clock = SimpleNamespace(now=1_700_000_000.9)
    monkeypatch.setattr(pusher, "time", SimpleNamespace(time=lambda: clock.now))
    return clock


@pytest.fixture
def base(tmp_path):
    return tmp_path / "serving" / "fishnet"


@pytest.fixture
def push(tmp_path, base, clock):
    """Function: a model's weights → Pusher's artifact after Pusher ran on that model."""

    def push(weights: str, blessed: bool = True) -> standard_artifacts.PushedModel:
        model = standard_artifacts.Model()
        model.uri = str(tmp_path / f"model {weights}")
        folder = Path(model.uri) / "Format-Serving"
        (folder / "variables").mkdir(parents=True, exist_ok=True)
        (folder / "saved_model.pb").write_text("graph")
        (folder / "variables" / "variables.data").write_text(weights)
        blessing = standard_artifacts.ModelBlessing()
        blessing.set_int_custom_property("blessed", int(blessed))
        pushed = standard_artifacts.PushedModel()
        pushed.uri = str(tmp_path / "pushed")
        destination = tfx.proto.PushDestination(
            filesystem=tfx.proto.PushDestination.Filesystem(base_directory=str(base))
        )
        Executor().Do(
            {"model": [model], "model_blessing": [blessing]},
            {"pushed_model": [pushed]},
            {
                "push_destination": proto_utils.proto_to_json(destination),
                "custom_config": "null",
            },
        )
        return pushed

    return push


def weights(version: Path) -> str:
    return (version / "variables" / "variables.data").read_text()


def test_blessed_model_becomes_a_version_of_the_time_it_was_pushed_at(push, base):
    pushed = push("a")
    assert [version.name for version in base.iterdir()] == ["1700000000"]
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


def test_versions_grow_although_the_clock_is_set_back(push, base, clock):
    push("a")
    clock.now -= 1000
    assert push("b").get_string_custom_property("pushed_version") == "1700000001"
    assert push("c").get_string_custom_property("pushed_version") == "1700000002"
    assert weights(base / "1700000002") == "c"
    assert weights(base / "1700000000") == "a"


def test_model_that_is_served_already_is_not_pushed_again(push, base, clock):
    push("a")
    clock.now += 60
    pushed = push("a")
    assert [version.name for version in base.iterdir()] == ["1700000000"]
    assert pushed.get_int_custom_property("pushed") == 1
    assert pushed.get_int_custom_property(UNCHANGED) == 1
    assert pushed.get_string_custom_property("pushed_version") == "1700000000"


def test_model_that_only_an_older_version_equals_is_pushed(push, base, clock):
    for now, model in ((1, "a"), (2, "b"), (3, "a")):
        clock.now = now
        assert push(model).get_int_custom_property(UNCHANGED) == 0
    assert sorted(version.name for version in base.iterdir()) == ["1", "2", "3"]
    assert weights(base / "3") == "a"


def test_damaged_version_is_pushed_anew(push, base):
    push("a")
    (base / "1700000000" / "variables" / "variables.data").unlink()
    assert push("a").get_int_custom_property(UNCHANGED) == 0
    assert weights(base / "1700000001") == "a"


def test_version_appears_only_when_it_is_whole(push, base, monkeypatch):
    """What a server that polls the folder sees while the model is copied: no version."""
    seen = []
    copy = pusher.io_utils.copy_dir

    def copy_and_look(source, destination):
        copy(source, destination)
        seen.append(newest_version(str(base)))

    monkeypatch.setattr(pusher.io_utils, "copy_dir", copy_and_look)
    push("a")
    assert seen[0] == 0
    assert newest_version(str(base)) == 1_700_000_000


def test_push_that_dies_while_it_copies_leaves_no_version_and_can_be_repeated(
    push, base, monkeypatch
):
    copy = pusher.io_utils.copy_dir

    def copy_half(source, destination):
        copy(source, destination)
        (Path(destination) / "variables" / "variables.data").unlink()
        raise OSError("No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(pusher.io_utils, "copy_dir", copy_half)
        with pytest.raises(OSError, match="No space left"):
            push("a")
    assert list(base.iterdir()) == []  # on a full disk leftovers would keep the next from success
    push("a")
    assert weights(base / "1700000000") == "a"


def test_newest_version(tmp_path):
    assert newest_version(str(tmp_path / "nowhere")) == 0
    assert newest_version(str(tmp_path)) == 0
    for name in ("9", "10", ".tmp-11", "12.old", "latest", "-13"):
        (tmp_path / name).mkdir()
    assert newest_version(str(tmp_path)) == 10
