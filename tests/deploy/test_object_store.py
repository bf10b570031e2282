"""TFX's `fileio` against an S3 server."""

import datetime

import pytest
import s3fs
from kubeflow.object_store import REGION
from kubeflow.object_store import ObjectStore as Server
from tfx.dsl.io import fileio
from tfx.utils import io_utils

from deploy import object_store


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with Server(tmp_path_factory.mktemp("gs")) as server:
        server.create_bucket("s3://bucket")
        yield server


@pytest.fixture(params=["s3", "minio"])
def root(request, server, monkeypatch):
    """An empty folder in the store, by its URI."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", server.secret["accesskey"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", server.secret["secretkey"])
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    object_store.register()
    object_store._store.cache_clear()
    yield f"{request.param}://bucket/root"
    server.delete("s3://bucket/root")


def write(uri: str, content: str = "content") -> None:
    io_utils.write_string_file(uri, content)


def test_what_is_written_is_read(root):
    write(f"{root}/a/b.txt", "grün")
    assert io_utils.read_string_file(f"{root}/a/b.txt") == "grün"
    assert io_utils.read_bytes_file(f"{root}/a/b.txt") == "grün".encode()
    with pytest.raises(FileNotFoundError):
        fileio.open(f"{root}/none").read()


def test_folders_are_what_files_names_tell(root):
    write(f"{root}/a/b.txt")
    assert fileio.exists(f"{root}/a/b.txt")
    assert fileio.exists(f"{root}/a")
    assert fileio.isdir(f"{root}/a")
    assert not fileio.isdir(f"{root}/a/b.txt")
    assert not fileio.exists(f"{root}/c")
    fileio.makedirs(f"{root}/c")
    assert not fileio.exists(f"{root}/c")


def test_lists_globs_and_walks_name_files_as_they_were_asked_for(root):
    for name in ("a/1", "a/2", "b/c/3"):
        write(f"{root}/{name}")
    assert fileio.listdir(root) == ["a", "b"]
    assert fileio.glob(f"{root}/a/*") == [f"{root}/a/1", f"{root}/a/2"]
    assert fileio.glob(f"{root}/none/*") == []
    walked = {folder: sorted(files) for folder, _, files in fileio.walk(root)}
    assert walked[f"{root}/a"] == ["1", "2"]
    assert walked[f"{root}/b/c"] == ["3"]


def test_copies_go_in_the_store_and_to_and_from_this_machine(root, tmp_path):
    write(f"{root}/a")
    io_utils.copy_file(f"{root}/a", f"{root}/b")
    io_utils.copy_file(f"{root}/b", str(tmp_path / "c"))
    io_utils.copy_file(str(tmp_path / "c"), f"{root}/d")
    assert io_utils.read_string_file(f"{root}/d") == "content"
    with pytest.raises(OSError, match="is there already"):
        fileio.copy(f"{root}/a", f"{root}/b")


def test_what_is_removed_or_renamed_is_gone(root):
    for name in ("a", "b", "c/1", "c/2"):
        write(f"{root}/{name}")
    fileio.remove(f"{root}/a")
    fileio.rename(f"{root}/b", f"{root}/e")
    fileio.rmtree(f"{root}/c")
    assert fileio.listdir(root) == ["e"]
    fileio.rmtree(f"{root}/c")


def test_a_large_file_is_written_in_parts(root, tmp_path):
    content = bytes(range(256)) * (s3fs.S3FileSystem.default_block_size // 200)
    (tmp_path / "large").write_bytes(content)
    io_utils.copy_file(str(tmp_path / "large"), f"{root}/large")
    assert io_utils.read_bytes_file(f"{root}/large") == content


def test_size_and_time_are_those_of_the_file(root):
    write(f"{root}/a", "12345")
    found = fileio.stat(f"{root}/a")
    assert found.length == 5
    age = datetime.datetime.now().timestamp() - found.mtime_nsec / 1e9
    assert abs(age) < 60


def test_what_others_write_is_seen_at_once(root, server):
    assert not fileio.exists(f"{root}/a/1")
    server.write(f"{root}/a/1", b"1")
    assert fileio.exists(f"{root}/a/1")
    assert fileio.listdir(f"{root}/a") == ["1"]
    server.write(f"{root}/a/2", b"2")
    assert fileio.listdir(f"{root}/a") == ["1", "2"]


def test_folder_is_downloaded_with_all_below_it(root, tmp_path):
    for name in ("d/labels.txt", "d/train/1", "d/val/1", "other"):
        write(f"{root}/{name}", name)
    object_store.download(f"{root}/d", str(tmp_path))
    files = {str(f.relative_to(tmp_path)): f.read_text() for f in tmp_path.rglob("*.*")}
    assert files == {"labels.txt": "d/labels.txt"}
    assert (tmp_path / "train" / "1").read_text() == "d/train/1"
    assert (tmp_path / "val" / "1").read_text() == "d/val/1"
    with pytest.raises(FileNotFoundError, match="no such folder in the object store"):
        object_store.download(f"{root}/none", str(tmp_path))


def test_refused_write_tells_the_stores_reason(root, server):
    server.refuse_writes(f"{root}/closed")
    try:
        with pytest.raises(PermissionError, match="Access Denied by the bucket's policy"):
            write(f"{root}/closed/a")
    finally:
        server.allow_writes()
