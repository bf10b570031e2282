"""Wrong usage and bad data: what is wrong is told in one go, and nothing is pushed."""

import re
import shutil

import pytest
from commands import run, start, wait

from components import record


def set_bytes(example, key: str, value: bytes) -> None:
    """Sets a feature of a tf.Example that has one value."""
    example.features.feature[key].bytes_list.value[:] = [value]


def set_label(example, label: int) -> None:
    """Sets the label of a tf.Example."""
    example.features.feature[record.LABEL].int64_list.value[:] = [label]


def filename(example) -> str:
    """The name of the picture in a tf.Example."""
    return example.features.feature[record.FILENAME].bytes_list.value[0].decode()


def told(text: str) -> str:
    """What is told in `text`, without the frame and the line breaks that tyro gives it."""
    return " ".join(re.sub(r"[╭╮╰╯│─]", " ", text).split())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--preset", "digit"], r"unknown preset 'digit'.* tiny-imagenet\. Did you mean digits\?"),
        (["--trainer.epoch", "3"], r"--trainer\.epoch, 3.*Perhaps you meant: --trainer\.epochs"),
        (["--trainer.epochs", "many"], r"--trainer\.epochs: .*'many'"),
        (["--trainer.epochs", "0"], r"`trainer\.epochs` must be positive\. Received: 0"),
        (["--trainer.momentum", "1"], r"`trainer\.momentum` must be in \[0, 1\)\. Received: 1"),
        (["--model.stem", "big"], r"'big' for argument '--model\.stem'.*'small'"),
        (["--model.name", "fishnet_99"], r"`model\.name` .*fishnet99.*'fishnet_99'"),
        (
            ["--image.height", "20", "--image.width", "16"],
            r"`image\.height` must be 16 or .* Received: 20",
        ),
        (["--from", "Train"], r"--from Train: no such node; there are .*Trainer"),
        (["--data", "nowhere"], r"--data nowhere: no such folder"),
        (["--data", "file"], r"--data file: "),
        (["--output", "file"], r"--output file: cannot be written \(File exists\)"),
        (["--output", "file/run"], r"--output file/run: cannot be written \(Not a directory\)"),
        (["--output", "/proc/run"], r"--output /proc/run: cannot be written"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_usage(tmp_path, arguments, message):
    (tmp_path / "file").touch()
    process = start(tmp_path, *arguments)
    try:
        process.wait(timeout=5)  # TensorFlow alone would take this long
    except BaseException:
        process.kill()
        raise
    ended = wait(process, tmp_path / "output")
    assert ended.exit_code == 2
    assert re.search(message, told(ended.errors))
    assert "Traceback" not in ended.errors
    assert ended.screen == ""
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def assert_refused(ended, *words: str) -> None:
    """Asserts that a run refused its data, told `words`, and pushed nothing."""
    assert (ended.exit_code, ended.errors) == (4, "")
    assert ended.summary["verdict"] == "data_refused"
    assert "verdict    data_refused" in ended.screen
    for word in words:
        assert word in ended.summary["message"]
        assert word in ended.screen
    assert "Traceback" not in ended.screen
    assert ended.log.is_file()
    assert ended.versions() == []


@pytest.mark.slow
def test_folder_without_shards(tmp_path):
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "cat.jpg").touch()
    ended = run(tmp_path, "--data", "pictures")
    assert_refused(
        ended, "pictures has no train and no val shards", "It holds: cat.jpg", "train-00000-of-0000"
    )


@pytest.mark.slow
def test_no_validation_split(tmp_path, small_dataset):
    dataset = small_dataset()
    dataset.write()
    shutil.rmtree(dataset.folder / record.VAL)
    ended = run(tmp_path, "--data", str(dataset.folder))
    assert_refused(ended, f"{dataset.folder} has no val shards", "val/val-00000-of-00001")


@pytest.mark.slow
def test_no_examples(tmp_path, small_dataset):
    dataset = small_dataset()
    dataset.train = []
    dataset.write()
    ended = run(tmp_path, "--data", str(dataset.folder))
    assert_refused(ended, f"{dataset.folder}/train: all 1 shards are empty", "at least one record")


@pytest.mark.slow
def test_one_class(tmp_path, small_dataset):
    dataset = small_dataset()
    for example in [*dataset.train, *dataset.val]:
        set_label(example, 3)
    dataset.write()
    ended = run(tmp_path, "--data", str(dataset.folder))
    assert_refused(ended, "every record of split `train` has the label 3", "at least two classes")


@pytest.fixture(scope="module")
def spoilt(small_dataset):
    """Records that are bad in several ways."""
    dataset = small_dataset()
    set_label(dataset.train[0], 0)
    set_label(dataset.val[1], 11)
    set_bytes(dataset.train[2], record.IMAGE, b"\x89PNG\r\n\x1a\n cut short")
    set_bytes(dataset.val[3], record.IMAGE, b"")
    del dataset.train[4].features.feature[record.LABEL]
    dataset.write()
    return dataset


@pytest.fixture(scope="module")
def on_spoilt(spoilt, tmp_path_factory):
    return run(tmp_path_factory.mktemp("run"), "--data", str(spoilt.folder))


@pytest.mark.slow
def test_bad_records_are_counted(on_spoilt):
    assert_refused(on_spoilt, "5 bad records", "Repair or remove them")
    assert set(on_spoilt.summary["components"]) <= {"CuratedSchema", "ImportExampleGen"}


@pytest.mark.slow
def test_label_0(on_spoilt, spoilt):
    name = filename(spoilt.train[0])
    assert_refused(on_spoilt, f"train: {name}: label 0 is not in 1..10", "label out of range")


@pytest.mark.slow
def test_label_beyond_the_class_names(on_spoilt, spoilt):
    assert_refused(on_spoilt, f"val: {filename(spoilt.val[1])}: label 11 is not in 1..10")


@pytest.mark.slow
def test_picture_that_does_not_decode(on_spoilt, spoilt):
    assert_refused(on_spoilt, f"train: {filename(spoilt.train[2])}: picture does not decode")


@pytest.mark.slow
def test_no_picture(on_spoilt, spoilt):
    assert_refused(on_spoilt, f"val: {filename(spoilt.val[3])}: `image/encoded` is missing")


@pytest.mark.slow
def test_no_label(on_spoilt, spoilt):
    assert_refused(on_spoilt, f"train: {filename(spoilt.train[4])}: has no `image/class/label`")
