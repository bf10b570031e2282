import threading
from pathlib import Path

import pytest
from apache_beam.io.localfilesystem import LocalFileSystem
from images import all_files, write_zip
from images import tiny_imagenet as tiny_files

from dataprep import tiny_imagenet
from dataprep.errors import UsageError
from dataprep.flags import Making
from dataprep.output import make_dataset
from dataprep.shards import ShardWriter, write_manifest
from dataset.example import Example

MADE_BY = {"command": "python -m dataprep test", "source_sha256": "a1b2"}
NAMES = {"n01": "Kätzchen", "n02": "dog"}


def fill(folder: str) -> None:
    facts = {}
    for name in ("train/train-00000-of-00001", "val/val-00000-of-00001"):
        with ShardWriter(f"{folder}/{name}") as writer:
            for label, synset in enumerate(NAMES, start=1):
                writer.write(Example(b"", label, synset, f"{synset}.jpg", "JPEG", 9, 9, "RGB"))
        facts[name] = writer.facts
    write_manifest(folder, MADE_BY, NAMES, facts, {}, {})


def make(output: Path) -> bool:
    return make_dataset(str(output), MADE_BY, fill)


def snapshot(folder: Path) -> dict[Path, tuple[int, bytes]]:
    return {
        path: (path.stat().st_mtime_ns, path.read_bytes())
        for path in folder.rglob("*")
        if path.is_file()
    }


def hidden(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.startswith(".")]


def test_makes_folder_and_parents(tmp_path):
    assert make(tmp_path / "a" / "my dätä [1]")
    assert sorted(all_files(tmp_path / "a" / "my dätä [1]")) == [
        "labels.txt",
        "manifest.json",
        "train/train-00000-of-00001",
        "val/val-00000-of-00001",
    ]
    assert hidden(tmp_path / "a") == [".my dätä [1].lock"]


def test_leaves_a_finished_data_set_untouched(tmp_path):
    make(tmp_path / "data")
    before = snapshot(tmp_path / "data")
    (tmp_path / ".data.lock").unlink()
    assert not make(tmp_path / "data")
    assert snapshot(tmp_path / "data") == before
    assert hidden(tmp_path) == []


def test_fills_an_empty_folder_and_the_folder_behind_a_link(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "data").symlink_to(tmp_path / "disk")
    assert make(tmp_path / "data")
    assert (tmp_path / "data").is_symlink()
    assert (tmp_path / "disk" / "manifest.json").exists()


def foreign_folder(output: Path) -> None:
    output.mkdir()
    (output / "notes.txt").write_text("mine")


def foreign_manifest(output: Path) -> None:
    output.mkdir()
    (output / "manifest.json").write_text("[]")


def other_source(output: Path) -> None:
    make_dataset(str(output), {**MADE_BY, "source_sha256": "c3d4"}, fill)
    manifest = output / "manifest.json"
    manifest.write_text(manifest.read_text("utf-8").replace("a1b2", "c3d4"), "utf-8")


def other_command(output: Path) -> None:
    make(output)
    manifest = output / "manifest.json"
    manifest.write_text(manifest.read_text("utf-8").replace("dataprep test", "dataprep"), "utf-8")


def changed_shard(output: Path) -> None:
    make(output)
    shard = output / "train" / "train-00000-of-00001"
    shard.write_bytes(shard.read_bytes()[::-1])


def missing_shard(output: Path) -> None:
    make(output)
    (output / "val" / "val-00000-of-00001").unlink()


def changed_labels(output: Path) -> None:
    make(output)
    (output / "labels.txt").write_text("dog\nKätzchen\n", "utf-8")


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        (foreign_folder, "no readable manifest.json"),
        (foreign_manifest, "another source or command"),
        (other_source, "another source or command"),
        (other_command, "another source or command"),
        (changed_shard, "train/train-00000-of-00001 has changed"),
        (missing_shard, "val/val-00000-of-00001 is missing"),
        (changed_labels, "labels.txt has changed"),
    ],
)
def test_refuses_a_folder_that_holds_something_else(tmp_path, prepare, message):
    prepare(tmp_path / "data")
    before = snapshot(tmp_path / "data")
    with pytest.raises(UsageError, match=rf"is not empty, and not this data set: .*{message}"):
        make(tmp_path / "data")
    assert snapshot(tmp_path / "data") == before


def test_refuses_a_file(tmp_path):
    (tmp_path / "data").write_text("mine")
    with pytest.raises(UsageError, match="data is not a folder"):
        make(tmp_path / "data")


def test_refuses_a_folder_that_cannot_be_replaced(tmp_path, monkeypatch):
    """The current one would be a removed one, for the shell too; a mounted disk stays."""
    (tmp_path / "data").mkdir()
    monkeypatch.chdir(tmp_path / "data")
    with pytest.raises(UsageError, match="is the current folder, or where a disk is mounted"):
        make(Path())
    monkeypatch.chdir(tmp_path)
    with monkeypatch.context() as patch, pytest.raises(UsageError, match="a disk is mounted"):
        patch.setattr(Path, "is_mount", lambda path: path == tmp_path / "data")
        make(Path("data"))
    assert make(Path("data"))
    monkeypatch.chdir(tmp_path / "data")
    assert not make(Path())  # it is there already


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_failure_leaves_nothing(tmp_path, error):
    def failing(folder: str) -> None:
        fill(folder)
        raise error

    with pytest.raises(error):
        make_dataset(str(tmp_path / "data"), MADE_BY, failing)
    assert [path.name for path in tmp_path.iterdir()] == [".data.lock"]


def test_the_folder_that_was_built_is_renamed_not_copied(tmp_path):
    def looking(folder: str) -> None:
        fill(folder)
        inodes.append(Path(folder).stat().st_ino)

    inodes: list[int] = []
    make_dataset(str(tmp_path / "data"), MADE_BY, looking)
    assert inodes == [(tmp_path / "data").stat().st_ino]


def test_what_killed_runs_left_is_removed(tmp_path):
    left = tmp_path / ".data.tmp-1234"
    (left / "train").mkdir(parents=True)
    (tmp_path / ".database.tmp-1").mkdir()  # of another output

    def looking(folder: str) -> None:
        assert not left.exists()
        fill(folder)

    make_dataset(str(tmp_path / "data"), MADE_BY, looking)
    assert sorted(hidden(tmp_path)) == [".data.lock", ".database.tmp-1"]


def test_no_two_runs_build_under_the_same_name(tmp_path):
    """For the workers of a killed run may go on for a second, and write where they were told to."""

    def failing(folder: str) -> None:
        folders.append(folder)
        raise RuntimeError

    folders: list[str] = []
    for _ in range(2):
        with pytest.raises(RuntimeError):
            make_dataset(str(tmp_path / "data"), MADE_BY, failing)
    assert len(set(folders)) == 2


def test_second_run_waits_for_the_first_and_then_writes_nothing(tmp_path, capsys):
    def starting_a_second_run(folder: str) -> None:
        fill(folder)
        second.start()
        second.join(timeout=0.5)
        assert second.is_alive()

    written = []
    second = threading.Thread(target=lambda: written.append(make(tmp_path / "data")))
    assert make_dataset(str(tmp_path / "data"), MADE_BY, starting_a_second_run)
    second.join()
    assert written == [False]
    told = f"note: another run is writing {tmp_path}/data; this one waits for its end\n"
    assert capsys.readouterr().err == told


class Store(LocalFileSystem):
    """Plays an object store: addresses `store://…` are files in a folder; no rename, no folders."""

    root: Path
    created: list[str]

    @classmethod
    def scheme(cls) -> str:
        return "store"

    def _local(self, path: str) -> str:
        return path.replace("store://bucket", str(self.root))

    def join(self, basepath, *paths):
        return "/".join((basepath, *paths))

    def split(self, path):
        return tuple(path.rsplit("/", 1))

    def create(self, path, *args, **kwargs):
        self.created.append(path)
        return super().create(self._local(path), *args, **kwargs)

    def open(self, path, *args, **kwargs):
        return super().open(self._local(path), *args, **kwargs)

    def match(self, patterns, limits=None):
        results = super().match([self._local(pattern) for pattern in patterns], limits)
        for result in results:
            for file in result.metadata_list:
                file.path = file.path.replace(str(self.root), "store://bucket")
        return results

    def _list(self, path):
        return super()._list(self._local(path))

    def delete(self, paths):
        for path in paths:
            Path(self._local(path)).unlink()

    def rename(self, *args):
        raise AssertionError("an object store cannot rename")


@pytest.fixture
def store(tmp_path) -> type[Store]:
    Store.root = tmp_path / "bucket"
    Store.root.mkdir()
    Store.created = []
    return Store


def test_object_store_gets_the_manifest_last(tmp_path, store):
    source = write_zip(tmp_path / "tiny.zip", tiny_files())
    assert tiny_imagenet.write(str(source), 2, 1, Making("store://bucket/data"))
    assert tiny_imagenet.write(str(source), 2, 1, Making(str(tmp_path / "here")))
    assert all_files(store.root / "data") == all_files(tmp_path / "here")
    assert store.created[-1] == "store://bucket/data/manifest.json"
    assert not tiny_imagenet.write(str(source), 2, 1, Making("store://bucket/data"))


def test_source_on_an_object_store(tmp_path, store):
    write_zip(store.root / "tiny.zip", tiny_files())
    assert tiny_imagenet.write("store://bucket/tiny.zip", 2, 1, Making(str(tmp_path / "data")))
    assert (tmp_path / "data" / "manifest.json").exists()


def test_failure_leaves_nothing_on_an_object_store(store):
    def failing(folder: str) -> None:
        fill(folder)
        raise RuntimeError

    with pytest.raises(RuntimeError):
        make_dataset("store://bucket/data", MADE_BY, failing)
    assert all_files(store.root) == {}


def test_refuses_what_is_on_an_object_store(store):
    (store.root / "data").mkdir()
    (store.root / "data" / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"store://bucket/data is not empty, and has no manifest"):
        make_dataset("store://bucket/data", MADE_BY, fill)
    assert all_files(store.root) == {"data/notes.txt": b"mine"}
