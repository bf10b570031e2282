"""The commands of dataprep as a user gives them, with what can go wrong meanwhile."""

import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from images import (
    all_files,
    class_folders,
    huge_png,
    image_file,
    read_split,
    write_folder,
    write_zip,
)

SHARDS = ("--train-shards", "8", "--val-shards", "4")
TWO_WORKERS = (
    "--beam.args=--direct_running_mode=multi_processing",
    "--beam.args=--direct_num_workers=2",
)
startable = pytest.mark.skipif(" " in sys.executable, reason="Beam starts no workers there")
WORKERS = [
    pytest.param((), id="one process"),
    pytest.param(TWO_WORKERS, id="two workers", marks=startable),
]


def start(
    cwd: Path, *arguments: str | Path, prefix: Sequence[str] = (), **env: str
) -> subprocess.Popen:
    """Starts `python -m dataprep` with `arguments` in the folder `cwd`."""
    return subprocess.Popen(
        [*prefix, sys.executable, "-m", "dataprep", *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, **env},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(cwd: Path, *arguments: str | Path, **env: str) -> tuple[int, str, str]:
    """Runs it, and returns exit code, stdout and stderr."""
    process = start(cwd, *arguments, **env)
    screen, errors = process.communicate()
    return process.returncode, screen, errors


def command(source: Path, output: Path, *more: str) -> list[str | Path]:
    return ["image-folder", "--source", source, "--output", output, *SHARDS, *more]


def wait_for_shards(folder: Path, process: subprocess.Popen) -> None:
    """Waits until the first shard is being written."""
    while not any(folder.glob(".data.tmp-*/train/*")):
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)


def children(process: subprocess.Popen) -> list[int]:
    """The Beam workers of a process."""
    listed = subprocess.run(["ps", "-ww", "-eo", "pid,ppid,args"], capture_output=True, text=True)
    rows = [line.split(None, 2) for line in listed.stdout.splitlines()[1:]]
    family = {process.pid}
    for pid, parent, _ in rows:
        if int(parent) in family:
            family.add(int(pid))
    return [
        int(pid)
        for pid, _, args in rows
        if int(pid) in family and "sdk_worker_main" in args and not args.startswith("/bin/sh")
    ]


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    """An archive of 20,000 images, some seconds' work; each file is another by its comment."""
    start, rest = b"\xff\xd8", [image_file(number, side=64)[2:] for number in range(100)]
    comment = b"\xff\xfe\x00\x0a%08d"
    files = {
        f"{name}/{number}.jpg": start + comment % (10_000 * label + number) + rest[number % 100]
        for label, name in enumerate(("cat", "dog"))
        for number in range(10_000)
    }
    return write_zip(tmp_path_factory.mktemp("source") / "mine.zip", files)


@pytest.fixture(scope="module")
def made(source, tmp_path_factory) -> Path:
    """The data set made of `source` in one process, undisturbed."""
    output = tmp_path_factory.mktemp("made") / "data"
    code, screen, _ = run(output.parent, *command(source, output))
    assert (code, "16,000 records in 8 shards" in screen) == (0, True)
    return output


@pytest.mark.slow
@pytest.mark.parametrize("workers", WORKERS)
def test_killed_run_is_done_again(source, made, tmp_path, workers):
    """And gives the bytes of an undisturbed run in one process, however many workers there are."""
    process = start(tmp_path, *command(source, tmp_path / "data", *workers))
    wait_for_shards(tmp_path, process)
    time.sleep(random.uniform(0, 0.3))
    process.kill()
    process.communicate()
    if (tmp_path / "data").exists():  # on a quick machine it was done already
        assert all_files(tmp_path / "data") == all_files(made)
        shutil.rmtree(tmp_path / "data")

    code, _, errors = run(tmp_path, *command(source, tmp_path / "data", *workers))
    assert (code, errors.count("\n")) == (0, 5)
    assert all_files(tmp_path / "data") == all_files(made)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".data.lock", "data"]


@pytest.mark.slow
@pytest.mark.parametrize("workers", WORKERS)
def test_ctrl_c(source, tmp_path, workers):
    # A shell that starts the tests in the background has them, and all they start, ignore Ctrl-C.
    prefix = ["env", "--default-signal=INT"]
    process = start(tmp_path, *command(source, tmp_path / "data", *workers), prefix=prefix)
    wait_for_shards(tmp_path, process)
    for pid in (process.pid, *children(process)):  # a terminal sends it to all of them
        os.kill(pid, signal.SIGINT)
    _, errors = process.communicate()
    assert process.returncode == 130
    assert errors.splitlines()[-1] == "interrupted; nothing was written"
    assert "Traceback" not in errors
    assert [path.name for path in tmp_path.iterdir()] == [".data.lock"]


@pytest.mark.slow
@startable
def test_killed_worker(source, tmp_path):
    process = start(tmp_path, *command(source, tmp_path / "data", *TWO_WORKERS))
    wait_for_shards(tmp_path, process)
    os.kill(children(process)[0], signal.SIGKILL)
    _, errors = process.communicate()
    assert process.returncode == 1
    assert "error: the data set was not written: " in errors
    assert "Traceback" not in errors
    assert [path.name for path in tmp_path.iterdir()] == [".data.lock"]


@pytest.mark.slow
def test_full_disk(source, tmp_path):
    """The output's folder is, for this one process, a file system of 3 MiB: less than the data."""
    mount = 'mount -t tmpfs -o size=3m full "$0"'
    unshare = ["unshare", "--map-root-user", "--mount", "sh", "-c"]
    small = tmp_path / "small"
    small.mkdir()
    if subprocess.run([*unshare, mount, str(small)], capture_output=True).returncode:
        pytest.skip("needs the right to mount in a namespace of its own")
    script = f'{mount} && "$@"; code=$?; find "$0" -type f; exit $code'
    prefix = [*unshare, script, str(small)]
    process = start(tmp_path, *command(source, small / "data"), prefix=prefix)
    screen, errors = process.communicate()
    assert process.returncode == 1
    assert "No space left on device" in errors
    assert "Traceback" not in errors
    assert screen == f"{small}/.data.lock\n"


@pytest.mark.slow
def test_odd_images(tmp_path):
    """Each becomes a JPEG, in colour or grey as it was, or is told and left out."""
    files = class_folders({"cat": 12, "dog": 12})
    files |= {
        "cat/cmyk.JPEG": image_file(1, "CMYK"),
        "cat/png.JPEG": image_file(2, "RGB", "PNG"),
        "cat/anim.gif": image_file(3, "P", "GIF"),
        "cat/sixteen.png": image_file(4, "I;16", "PNG"),
        "dog/empty.jpg": b"",
        "dog/text.JPEG": b"not an image",
        "dog/dot.jpg": image_file(5, side=1),
        "dog/huge.png": huge_png(),
    }
    source = write_folder(tmp_path / "mine", files)
    code, screen, errors = run(tmp_path, *command(source, tmp_path / "data"))
    assert (code, screen) == (1, "")
    assert "error: 4 of 32 images cannot be used:\n" in errors
    for reason, file in (
        ("empty file", "dog/empty.jpg"),
        ("not an image", "dog/text.JPEG"),
        ("too small", "dog/dot.jpg"),
        ("too large", "dog/huge.png"),
    ):
        assert f"        1  {reason:<12}  {file}" in errors
    assert errors.endswith("--max-left-out 0.25\n")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".data.lock", "mine"]

    code, screen, _ = run(tmp_path, *command(source, tmp_path / "data", "--max-left-out", "0.25"))
    assert code == 0
    assert "  left out: 4 images that cannot be used, dog/dot.jpg, dog/empty.jpg, " in screen
    records = [*read_split(tmp_path / "data", "train"), *read_split(tmp_path / "data", "val")]
    assert len(records) == 28
    for record in records:
        assert record["image/encoded"].startswith(b"\xff\xd8\xff")
        channels = 1 if record["image/filename"] == b"cat/sixteen.png" else 3
        assert (record["image/format"], record["image/channels"]) == (b"JPEG", channels)


def test_memory_does_not_go_to_an_image_of_900_million_pixels(tmp_path):
    (tmp_path / "huge.png").write_bytes(huge_png())
    script = (
        "from pathlib import Path; from dataprep.jpeg import *\n"
        "try: read_image(Path('huge.png').read_bytes())\n"
        "except UnusableError: print(Path('/proc/self/status').read_text())"
    )
    told = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True
    )
    peak = re.search(r"VmHWM:\s+(\d+) kB", told.stdout)
    assert int(peak[1]) < 100_000


@pytest.mark.slow
def test_offline(tmp_path):
    proxy = {"http_proxy": "http://127.0.0.1:9", "no_proxy": "", "NO_PROXY": ""}
    code, screen, errors = run(tmp_path, "tiny-imagenet", "--output", "data/tiny-imagenet", **proxy)
    assert (code, screen) == (1, "")
    assert "error: cs231n.stanford.edu cannot be reached" in errors
    assert "--source tiny-imagenet-200.zip" in errors
    assert "Traceback" not in errors
    assert not (tmp_path / "data" / "tiny-imagenet").exists()
