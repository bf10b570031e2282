import io
import json
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
import tensorflow as tf
from PIL import Image

from components.dataset import read_dataset
from dataprep.shards import Example, Split, UsageError, serialize, write_dataset

# A source that never ends, so that the process which draws from it is surely still writing.
ENDLESS = """
import itertools, sys
from pathlib import Path
from dataprep.shards import Example, Split, write_dataset

def examples():
    for index in itertools.count():
        yield Example(Path(sys.argv[2]).read_bytes(), 1, "n01", "a.png")
        if index == 100:
            print("writing", flush=True)

splits = {"train": Split(examples(), 2), "val": Split([], 1)}
write_dataset(
    Path(sys.argv[1]), splits, class_names=["a"], command="python -m dataprep x", source_sha256="0"
)
"""


def picture(mode: str = "RGB", file_format: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, (5, 3), 128).save(buffer, file_format)
    return buffer.getvalue()


def examples(number: int) -> Iterator[Example]:
    """Examples whose labels are 1, 2, 1, 2, … and whose file names are their places."""
    for index in range(number):
        yield Example(picture(), 1 + index % 2, f"n{index % 2:02d}", f"{index}.png")


def write(
    output: Path, train: Iterable[Example] | None = None, shards: int = 3, source: str = "a1b2"
) -> bool:
    """Writes 10 training examples, or those given, and 3 validation examples."""
    return write_dataset(
        output,
        {"train": Split(train or examples(10), shards), "val": Split(examples(3), 1)},
        class_names=["Kätzchen", "dog"],
        command=f"python -m dataprep test --train-shards {shards}",
        source_sha256=source,
    )


def snapshot(folder: Path) -> dict[Path, tuple[int, bytes]]:
    return {
        path: (path.stat().st_mtime_ns, path.read_bytes())
        for path in folder.rglob("*")
        if path.is_file()
    }


def file_names(shard: Path) -> list[str]:
    records = tf.data.TFRecordDataset(str(shard)).as_numpy_iterator()
    protos = [tf.train.Example.FromString(proto) for proto in records]
    return [p.features.feature["image/filename"].bytes_list.value[0].decode() for p in protos]


def test_example_has_all_features_of_the_record():
    features = tf.train.Example.FromString(
        serialize(Example(picture("RGB", "JPEG"), 7, "n01443537", "fisch_ä.JPEG"))
    ).features.feature
    assert {
        key: (list(f.bytes_list.value) or list(f.int64_list.value)) for key, f in features.items()
    } == {
        "image/encoded": [picture("RGB", "JPEG")],
        "image/class/label": [7],
        "image/class/synset": [b"n01443537"],
        "image/format": [b"JPEG"],
        "image/filename": ["fisch_ä.JPEG".encode()],
        "image/height": [3],
        "image/width": [5],
        "image/colorspace": [b"RGB"],
        "image/channels": [3],
    }


def test_grey_example():
    proto = serialize(Example(picture("L"), 1, "n01", "a.png"))
    features = tf.train.Example.FromString(proto).features.feature
    assert features["image/format"].bytes_list.value == [b"PNG"]
    assert features["image/colorspace"].bytes_list.value == [b"Grayscale"]
    assert features["image/channels"].int64_list.value == [1]


def test_picture_that_is_neither_grey_nor_rgb():
    with pytest.raises(ValueError, match=r"a\.png: the picture must be grey .* mode: P"):
        serialize(Example(picture("P"), 1, "n01", "a.png"))


def test_deals_the_examples_to_the_shards_in_turn(tmp_path):
    assert write(tmp_path / "data", train=examples(5), shards=3)
    dataset = read_dataset(tmp_path / "data")
    assert [file_names(shard) for shard in dataset.shards["train"]] == [
        ["0.png", "3.png"],
        ["1.png", "4.png"],
        ["2.png"],
    ]


def test_reads_back_with_and_without_its_manifest(tmp_path):
    output = tmp_path / "my dätä [1]"
    write(output, train=examples(2), shards=4)  # two shards stay empty
    with_manifest = read_dataset(output)
    (output / "manifest.json").unlink()
    assert read_dataset(output) == with_manifest
    assert with_manifest.records == {"train": 2, "val": 3}
    assert with_manifest.class_names == ("Kätzchen", "dog")


def test_manifest_tells_source_classes_and_shards(tmp_path):
    write(tmp_path / "data", train=examples(5), shards=2)
    manifest = json.loads((tmp_path / "data" / "manifest.json").read_text("utf-8"))
    assert manifest["tool"].startswith("fishnet-tfx ")
    assert manifest["made_by"] == {
        "command": "python -m dataprep test --train-shards 2",
        "source_sha256": "a1b2",
    }
    train = manifest["splits"]["train"]
    assert train["records"] == 5
    assert train["classes"] == {"Kätzchen": 3, "dog": 2}
    assert [shard["records"] for shard in train["shards"].values()] == [3, 2]
    name, shard = next(iter(train["shards"].items()))
    assert name == "train/train-00000-of-00002"
    assert shard["bytes"] == (tmp_path / "data" / name).stat().st_size


def test_leaves_a_finished_data_set_untouched(tmp_path):
    assert write(tmp_path / "data")
    before = snapshot(tmp_path / "data")
    assert not write(tmp_path / "data")
    assert snapshot(tmp_path / "data") == before


def test_makes_no_lock_where_the_data_set_is_there(tmp_path):
    write(tmp_path / "data")
    (tmp_path / ".data.lock").unlink()
    assert not write(tmp_path / "data")
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_fills_an_empty_folder_and_the_folder_behind_a_link(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "data").symlink_to(tmp_path / "disk")
    assert write(tmp_path / "data")
    assert (tmp_path / "data").is_symlink()
    assert read_dataset(tmp_path / "disk").records["train"] == 10


def foreign_folder(output: Path) -> None:
    output.mkdir()
    (output / "notes.txt").write_text("mine")


def foreign_manifest(output: Path) -> None:
    output.mkdir()
    (output / "manifest.json").write_text("[]")


def other_source(output: Path) -> None:
    write(output, source="c3d4")


def other_command(output: Path) -> None:
    write(output, shards=5)


def changed_shard(output: Path) -> None:
    write(output)
    shard = output / "train" / "train-00001-of-00003"
    shard.write_bytes(shard.read_bytes()[::-1])


def missing_shard(output: Path) -> None:
    write(output)
    (output / "val" / "val-00000-of-00001").unlink()


def changed_labels(output: Path) -> None:
    write(output)
    (output / "labels.txt").write_text("dog\nKätzchen\n", "utf-8")


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        (foreign_folder, "no readable manifest.json"),
        (foreign_manifest, "another source or command"),
        (other_source, "another source or command"),
        (other_command, "another source or command"),
        (changed_shard, "train/train-00001-of-00003 has changed"),
        (missing_shard, "val/val-00000-of-00001 is missing"),
        (changed_labels, "labels.txt has changed"),
    ],
)
def test_refuses_a_folder_that_holds_something_else(tmp_path, prepare, message):
    prepare(tmp_path / "data")
    before = snapshot(tmp_path / "data")
    with pytest.raises(UsageError, match=rf"is not empty, and not this data set: .*{message}"):
        write(tmp_path / "data")
    assert snapshot(tmp_path / "data") == before


def test_refuses_a_file(tmp_path):
    (tmp_path / "data").write_text("mine")
    with pytest.raises(UsageError, match="data is not a folder"):
        write(tmp_path / "data")


def test_refuses_no_shards(tmp_path):
    with pytest.raises(UsageError, match=r"train needs at least 1 shard\. Received: 0"):
        write(tmp_path / "data", shards=0)
    assert not any(tmp_path.iterdir())


def test_source_that_fails_leaves_nothing(tmp_path):
    def failing() -> Iterator[Example]:
        yield from examples(3)
        raise RuntimeError("unreadable picture")

    with pytest.raises(RuntimeError, match="unreadable picture"):
        write(tmp_path / "data", train=failing())
    assert [path.name for path in tmp_path.iterdir()] == [".data.lock"]


def test_full_disk_leaves_nothing(tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))  # Python ignores the signal for it
    try:
        with pytest.raises(OSError, match="train-00000-of-00001; File too large"):
            write(tmp_path / "data", shards=1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [path.name for path in tmp_path.iterdir()] == [".data.lock"]


def test_the_folder_that_was_built_is_renamed_not_copied(tmp_path):
    def looking() -> Iterator[Example]:
        yield from examples(2)
        inodes.append((tmp_path / ".data.tmp").stat().st_ino)

    inodes: list[int] = []
    assert write(tmp_path / "data", train=looking())
    assert inodes == [(tmp_path / "data").stat().st_ino]


def test_second_run_waits_for_the_first_and_then_writes_nothing(tmp_path):
    def starting_a_second_run() -> Iterator[Example]:
        yield from examples(2)
        second.start()
        second.join(timeout=0.5)
        assert second.is_alive()

    written = []
    second = threading.Thread(target=lambda: written.append(write(tmp_path / "data")))
    assert write(tmp_path / "data", train=starting_a_second_run())
    second.join()
    assert written == [False]


def test_killed_run_leaves_no_data_set_and_the_next_run_cleans_up(tmp_path):
    (tmp_path / "a.png").write_bytes(picture())
    process = subprocess.Popen(
        [sys.executable, "-c", ENDLESS, tmp_path / "data", tmp_path / "a.png"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdout.readline() == b"writing\n"
    process.kill()
    assert process.wait() == -signal.SIGKILL
    assert not (tmp_path / "data").exists()
    assert (tmp_path / ".data.tmp").exists()

    assert write(tmp_path / "data")
    assert not (tmp_path / ".data.tmp").exists()
    assert read_dataset(tmp_path / "data").records == {"train": 10, "val": 3}
