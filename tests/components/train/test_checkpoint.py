import errno
import os
import time
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from components.train import checkpoint
from components.train.callbacks import RecordHistory
from components.train.checkpoint import KEPT_DAYS, Checkpoints, SaveCheckpoints

pytestmark = pytest.mark.slow  # they run Beam

EPOCHS = 4
STEPS = 3
IMAGES = np.random.default_rng(0).normal(size=(EPOCHS, STEPS * 4, 5)).astype(np.float32)


@pytest.fixture
def make():
    """Function: a network with moving statistics, momentum, and a layer that draws lots."""

    def make() -> keras.Model:
        keras.utils.set_random_seed(1)
        layers = keras.layers
        model = keras.Sequential(
            [
                keras.Input((5,)),
                layers.Dense(3),
                layers.BatchNormalization(),
                layers.Dropout(0.5),
                layers.Dense(1),
            ]
        )
        optimizer = keras.optimizers.SGD(0.1, momentum=0.9)
        model.compile(optimizer, "mse", metrics=["mae"], run_eagerly=True)
        model.optimizer.build(model.trainable_variables)
        return model

    return make


@pytest.fixture(params=["folder", "store"])
def root(request, tmp_path, store):
    """Where checkpoints are: in a folder that is yet to be made, or in an object store."""
    return "memory://bucket/checkpoints" if request.param == "store" else str(tmp_path / "a" / "b")


@pytest.fixture
def checkpoints(tmp_path):
    return Checkpoints(str(tmp_path), identity=["this"])


def refuse(path: str) -> None:
    """What TFX's files do where a folder is another user's."""
    raise tf.errors.PermissionDeniedError(None, None, f"{path}; Permission denied")


@pytest.fixture
def lines(caplog):
    """Function: → the lines that were logged so far."""
    caplog.set_level("INFO", logger="components")
    return lambda: [r.getMessage() for r in caplog.records if r.name.startswith("components")]


def fit(model, callbacks, first: int = 0, epochs: int = EPOCHS) -> None:
    """Each epoch has data of its own."""
    for epoch in range(first, epochs):
        pixels = IMAGES[epoch]
        model.fit(
            pixels,
            pixels.sum(axis=1),
            batch_size=4,
            shuffle=False,
            initial_epoch=epoch,
            epochs=epoch + 1,
            verbose=0,
            callbacks=callbacks,
        )


def saving(checkpoints: Checkpoints, model: keras.Model, history: list[dict[str, float]]) -> list:
    """The callbacks of a training after `history`."""
    history = [*history]
    return [RecordHistory(history), SaveCheckpoints(checkpoints, variables(model), history)]


def train(model: keras.Model, checkpoints: Checkpoints, epochs: int = EPOCHS) -> None:
    fit(model, saving(checkpoints, model, []), epochs=epochs)


def variables(model) -> list[keras.Variable]:
    return [*model.variables, *model.optimizer.variables]


def state(model) -> list[np.ndarray]:
    return [np.array(variable) for variable in variables(model)]


def files(checkpoints) -> list[Path]:
    return sorted(Path(checkpoints.folder).iterdir())


def epochs(checkpoints) -> list[str]:
    return [path.name[:11] for path in files(checkpoints)]


def test_resumed_training_ends_as_the_uninterrupted_one(make, root):
    whole = make()
    fit(whole, [])

    model = make()
    assert Checkpoints(root, ["this"]).restore(variables(model)) == []
    fit(model, saving(Checkpoints(root, ["this"]), model, []), epochs=2)
    resumed = make()
    checkpoints = Checkpoints(root, ["this"])  # as another process has it
    history = checkpoints.restore(variables(resumed))
    assert [sorted(epoch) for epoch in history] == [["learning_rate", "loss", "mae"]] * 2
    np.testing.assert_equal(state(resumed), state(model))
    fit(resumed, saving(checkpoints, resumed, history), first=2)
    np.testing.assert_equal(state(resumed), state(whole))

    after = make()
    assert Checkpoints(root, ["this"]).restore(variables(after))[:2] == history
    np.testing.assert_equal(state(after), state(whole))


def test_the_last_two_are_kept_until_they_are_deleted(make, checkpoints):
    train(make(), checkpoints)
    assert epochs(checkpoints) == ["epoch-00003", "epoch-00004"]
    checkpoints.delete()
    assert not Path(checkpoints.folder).exists()
    checkpoints.delete()  # a training of which none was written ends like any other


def test_another_training_does_not_find_them(make, root):
    train(make(), Checkpoints(root, ["this"]), epochs=1)
    assert Checkpoints(root, ["that"]).restore(variables(make())) == []
    assert len(Checkpoints(root, ["this"]).restore(variables(make()))) == 1


def damage(path: Path, how: str) -> None:
    content = bytearray(path.read_bytes())
    if how == "bit rot":
        content[len(content) // 2] ^= 1
    path.write_bytes(content[: {"empty": 0, "cut": 1000}.get(how)])


@pytest.mark.parametrize("how", ["empty", "cut", "bit rot"])
def test_damaged_checkpoint_is_reported_and_the_one_before_taken(make, checkpoints, lines, how):
    whole = make()
    fit(whole, saving(checkpoints, whole, []))
    damaged = files(checkpoints)[-1]
    damage(damaged, how)
    resumed = make()
    again = Checkpoints(checkpoints._root, ["this"])
    history = again.restore(variables(resumed))
    assert lines() == [
        f"{damaged}: this checkpoint has not the content that was written",
        "resumes after epoch 3",
    ]
    fit(resumed, saving(again, resumed, history), first=3)
    np.testing.assert_equal(state(resumed), state(whole))
    assert epochs(again) == ["epoch-00003", "epoch-00004"]
    assert len(Checkpoints(checkpoints._root, ["this"]).restore(variables(make()))) == 4


def test_if_all_are_damaged_the_training_begins_anew(make, checkpoints, lines):
    train(make(), checkpoints)
    for path in files(checkpoints):
        damage(path, "cut")
    model = make()
    again = Checkpoints(checkpoints._root, ["this"])
    assert again.restore(variables(model)) == []
    assert lines()[-1] == (
        f"{checkpoints.folder}: no checkpoint is readable; the training begins anew"
    )
    np.testing.assert_equal(state(model), state(make()))
    fit(model, saving(again, model, []), epochs=1)
    assert epochs(again) == ["epoch-00001"]


def test_what_the_disk_cannot_read_is_damaged_and_what_may_not_be_read_is_an_error(
    make, checkpoints, lines
):
    train(make(), checkpoints)
    last = files(checkpoints)[-1]
    last.unlink()
    last.symlink_to("/proc/self/mem")  # at whose beginning nothing is, so that reading fails
    assert len(checkpoints.restore(variables(make()))) == 3
    assert "the disk cannot read this checkpoint: [Errno 5] Input/output error" in lines()[0]
    last.unlink()
    last.mkdir()
    with pytest.raises(OSError, match="Is a directory"):
        checkpoints.restore(variables(make()))


def test_half_written_checkpoint_is_not_taken_and_goes_with_a_later_one(make, checkpoints):
    """Not with that of its own epoch, which another process at the same training may be writing."""
    train(make(), checkpoints, epochs=1)
    [name] = [path.name for path in files(checkpoints)]
    half = Path(checkpoints.folder) / f".{name.replace('00001', '00002')}-x" / name
    half.parent.mkdir()
    half.write_bytes(b"half")
    model = make()
    history = checkpoints.restore(variables(model))
    assert len(history) == 1
    fit(model, saving(checkpoints, model, history), first=1, epochs=2)
    assert epochs(checkpoints) == [".epoch-0000", "epoch-00001", "epoch-00002"]
    history = checkpoints.restore(variables(model))
    fit(model, saving(checkpoints, model, history), first=2, epochs=3)
    assert epochs(checkpoints) == ["epoch-00002", "epoch-00003"]


def test_what_another_process_removes_first_is_no_error(make, checkpoints, monkeypatch):
    train(make(), checkpoints, epochs=2)
    remove = checkpoint.fileio.remove

    def remove_twice(path: str) -> None:
        remove(path)
        remove(path)

    monkeypatch.setattr(checkpoint.fileio, "remove", remove_twice)
    train(make(), checkpoints, epochs=3)
    assert epochs(checkpoints) == ["epoch-00002", "epoch-00003"]


def test_folder_that_cannot_be_written_is_told_before_the_training(tmp_path):
    (tmp_path / "file").touch()
    checkpoints = Checkpoints(f"{tmp_path}/file", ["this"])
    with pytest.raises(OSError, match=r"file/\w+: checkpoints cannot be written there: .*--output"):
        checkpoints.begin()
    with pytest.raises(OSError, match="the checkpoint of epoch 1, .* cannot be written"):
        checkpoints.save([], [{}])


def test_folder_that_may_not_be_listed_is_an_os_error(make, checkpoints, monkeypatch):
    train(make(), checkpoints, epochs=1)
    monkeypatch.setattr(checkpoint.fileio, "listdir", refuse)
    with pytest.raises(OSError, match="Permission denied"):
        checkpoints.restore(variables(make()))


def test_full_disk_is_reported_and_leaves_the_last_checkpoint(make, checkpoints, monkeypatch):
    train(make(), checkpoints, epochs=1)
    before = files(checkpoints)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"the checkpoint of epoch 1, 0 MB, cannot .* No space left"):
        train(make(), checkpoints, epochs=1)
    assert files(checkpoints) == before


def test_other_trainings_are_deleted_once_they_are_abandoned(make, tmp_path, lines):
    this, young, old = (Checkpoints(str(tmp_path), [name]) for name in ("this", "young", "old"))
    for checkpoints, days in ((this, KEPT_DAYS + 1), (young, KEPT_DAYS - 1), (old, KEPT_DAYS + 1)):
        train(make(), checkpoints, epochs=1)
        [file] = files(checkpoints)
        os.utime(file, (time.time() - days * 86_400,) * 2)
    (tmp_path / "somebody's").mkdir()
    this.delete_abandoned()
    kept = {Path(this.folder).name, Path(young.folder).name, "somebody's"}
    assert {path.name for path in tmp_path.iterdir()} == kept
    assert lines() == [f"{old.folder}: checkpoints of an abandoned training, deleted"]


def test_training_that_was_killed_in_its_first_epoch_is_abandoned_too(tmp_path):
    this, young, old = (Checkpoints(str(tmp_path), [name]) for name in ("this", "young", "old"))
    for checkpoints in (this, young, old):
        checkpoints.begin()
    [file] = files(old)
    os.utime(file, (time.time() - (KEPT_DAYS + 1) * 86_400,) * 2)
    this.delete_abandoned()
    assert {path.name for path in tmp_path.iterdir()} == {
        Path(this.folder).name,
        Path(young.folder).name,
    }


@pytest.mark.parametrize("function", ["rmtree", "listdir"])
def test_abandoned_ones_of_another_user_stay(make, tmp_path, lines, monkeypatch, function):
    this, other = (Checkpoints(str(tmp_path), [name]) for name in ("this", "other"))
    train(make(), other, epochs=1)
    os.utime(files(other)[0], (0, 0))

    allowed = getattr(checkpoint.fileio, function)
    monkeypatch.setattr(
        checkpoint.fileio,
        function,
        lambda path: (refuse if path == other.folder else allowed)(path),
    )
    this.delete_abandoned()
    [line] = lines()
    assert line.startswith(f"{other.folder}: an abandoned training's checkpoints stay: ")
    assert "Permission denied" in line


def test_abandoned_ones_are_deleted_in_an_object_store_too(make, store, monkeypatch):
    this, old = (Checkpoints("memory://bucket", [name]) for name in ("this", "old"))
    for checkpoints in (this, old):
        train(make(), checkpoints, epochs=1)
    this.delete_abandoned()
    assert len(store.objects) == 2
    later = time.time() + (KEPT_DAYS + 1) * 86_400
    monkeypatch.setattr(checkpoint.time, "time", lambda: later)
    this.delete_abandoned()
    [left] = store.objects
    assert left.startswith(this.folder)
