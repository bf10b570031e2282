"""Pushes and rollbacks that are killed, or run out of space, under the eyes of a server."""

import contextlib
import multiprocessing
import multiprocessing.forkserver
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import processes
import pytest
from commands import ROOT

from served_model.files import digest, model_files
from served_model.versions import HIDDEN, LOCK_FILE, VersionFolder

KEEP = 8
PYTHONPATH = os.pathsep.join([str(ROOT), str(Path(__file__).parent)])
CONTEXT = multiprocessing.get_context("forkserver")


@pytest.fixture(scope="module", autouse=True)
def forks():
    """Has every process of these tests forked of one that has imported TFX."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", PYTHONPATH)
        patch.setenv("TF_CPP_MIN_LOG_LEVEL", "3")
        CONTEXT.set_forkserver_preload(["processes"])
        multiprocessing.forkserver.ensure_running()


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    """The Model artifact that is pushed; `processes.change` makes another one of it."""
    uri = tmp_path_factory.mktemp("model")
    writer = CONTEXT.Process(target=processes.write_model, args=[uri])
    writer.start()
    writer.join()
    return uri


@pytest.fixture
def folder(tmp_path) -> VersionFolder:
    return VersionFolder(tmp_path / "serving" / "fishnet")


def start(function, *arguments):
    """Starts `function` in a process of its own and returns that, once the function has begun."""
    receiver, sender = CONTEXT.Pipe(duplex=False)
    process = CONTEXT.Process(target=function, args=[*arguments, sender])
    process.start()
    sender.close()  # then its end is told by the receiver, which would wait for ever otherwise
    receiver.recv()
    return process


def seconds(function, *arguments) -> float:
    """How long `function` takes in a process of its own, in which it succeeds."""
    process = start(function, *arguments)
    started = time.monotonic()
    process.join()
    assert process.exitcode == 0
    return time.monotonic() - started


def kill(function, *arguments, within: float) -> None:
    """Kills `function` at a random moment of the next `within` seconds."""
    process = start(function, *arguments)
    time.sleep(random.uniform(0, within))
    process.kill()
    process.join()


def kills(folder: VersionFolder, function: Callable, within: float, count: int) -> Iterator[bool]:
    """Kills `count` changes of `folder`; yields after each whether there is a new version.

    On a machine that grows slower, or faster, every kill might come too early, or too late: so the
    next moment is sought further on after one that was too early, and less far after one too late.
    """
    for _ in range(count):
        before = folder.versions()
        function(kill, within=within)
        after = folder.versions()
        assert not lost(before, after)
        published = after[-1] > before[-1]
        within *= 0.9 if published else 1 / 0.9
        yield published


@contextlib.contextmanager
def server(folder: VersionFolder) -> Iterator[dict[int, int]]:
    """Polls and loads all the while; gives, afterwards, how often it loaded which version."""
    receiver, sender = CONTEXT.Pipe(duplex=False)
    stop = CONTEXT.Event()
    reader = CONTEXT.Process(target=processes.poll, args=[folder.path, stop, sender])
    reader.start()
    sender.close()
    loads: dict[int, int] = {}
    yield loads
    stop.set()
    found, failures = receiver.recv()
    reader.join()
    assert failures == []
    loads.update(found)


def lost(before: list[int], after: list[int]) -> set[int]:
    """What should be in the folder and is not: but for the newest, pruning takes the oldest."""
    return set(sorted({*before, *after})[-KEEP:]) - set(after)


def assert_whole(folder: VersionFolder) -> None:
    for version in folder.versions():
        path = str(folder.path / str(version))
        assert digest(path, model_files(path)) == folder.receipt(version).model_digest


def leftovers(folder: VersionFolder) -> set[str]:
    return {path.name for path in folder.path.glob(f"{HIDDEN}*")}


@pytest.mark.slow
def test_fifty_pushes_killed_at_random_moments(model, folder):
    def push(run, **options):
        processes.change(model)
        return run(processes.push, model, folder.path, KEEP, **options)

    push(seconds)
    began = time.monotonic()
    with server(folder) as loads:
        within = statistics.median(push(seconds) for _ in range(3))
        published = cut_off = 0
        for new in kills(folder, push, within, 50):
            published += new
            cut_off += bool(leftovers(folder))
        newest = folder.versions()[-1]
        push(seconds)
    assert newest < folder.versions()[-1]
    assert len(folder.versions()) == KEEP
    assert not leftovers(folder)
    assert_whole(folder)
    # The kills came at all stages, and the server was there.
    assert published >= 5
    assert cut_off >= 5
    assert sum(loads.values()) >= 50
    sys.stdout.write(
        f"50 kills: {published} after the rename, {cut_off} with a version half written or deleted;"
        f" {sum(loads.values())} loads of {len(loads)} versions; push {within:.3f} s;"
        f" {time.monotonic() - began:.0f} s in all\n"
    )


@pytest.mark.slow
def test_twenty_rollbacks_killed_at_random_moments(model, folder):
    for _ in range(2):
        processes.change(model)
        seconds(processes.push, model, folder.path, KEEP)

    def roll_back(run, **options):
        target = folder.versions()[-2]
        return run(processes.roll_back, target, folder.path, KEEP, **options)

    with server(folder) as loads:
        within = statistics.median(roll_back(seconds) for _ in range(3))
        published = sum(kills(folder, roll_back, within, 20))
        processes.change(model)
        seconds(processes.push, model, folder.path, KEEP)
    assert published >= 2
    assert len(folder.versions()) == KEEP
    assert not leftovers(folder)
    assert_whole(folder)
    assert len(loads) >= 5


@pytest.mark.slow
def test_two_pushers_at_once(model, folder, tmp_path):
    other = tmp_path / "other"
    processes.write_model(other)
    for _ in range(5):
        before = folder.versions()
        for uri in (model, other):
            processes.change(uri)
        pushers = [start(processes.push, uri, folder.path, 100) for uri in (model, other)]
        for pusher in pushers:
            pusher.join()
            assert pusher.exitcode == 0
        assert len(folder.versions()) == len(before) + 2
    assert_whole(folder)


FULL_DISK = f"""
import sys
from pathlib import Path
from processes import change, push

model, base = Path(sys.argv[1]), Path(sys.argv[2])
push(model, base, {KEEP})
filler = base.parent / "filler"
filler.write_bytes(bytes(8 << 20))
change(model)
try:
    push(model, base, {KEEP})
except Exception as error:
    print(error)
print(sorted(path.name for path in base.iterdir() if path.name != "{LOCK_FILE}"))
filler.unlink()
push(model, base, {KEEP})
print(sorted(path.name for path in base.iterdir() if path.name != "{LOCK_FILE}"))
"""


@pytest.mark.slow
def test_full_disk(model, tmp_path):
    """The serving folder is, for one process, a file system of 20 MiB; a model takes 8 of them."""
    unshare = ["unshare", "--map-root-user", "--mount", "sh", "-c"]
    mount = 'mount -t tmpfs -o size=20m full "$0"'
    if subprocess.run([*unshare, mount, tmp_path], capture_output=True).returncode:
        pytest.skip("needs the right to mount in a namespace of its own")
    script = [sys.executable, "-c", FULL_DISK, model, tmp_path / "fishnet"]
    ended = subprocess.run(
        [*unshare, f'{mount} && exec "$@"', tmp_path, *script],
        env={**os.environ, "PYTHONPATH": PYTHONPATH},
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stderr
    error, while_full, afterwards = ended.stdout.splitlines()
    assert "No space left on device" in error
    [first] = eval(while_full)
    assert eval(afterwards)[0] == first
    assert len(eval(afterwards)) == 2
