"""Local runs each of which is disturbed in one of its nodes; prints a line of JSON for each.

Run: unshare --map-root-user --mount setpriv --bounding-set=-dac_override,-dac_read_search
     env PYTHONPATH=tests:. python tests/faults/disturbed_runs.py FOLDER FAULT:NODE ...

All runs are one command, on one output folder, and each begins where the one before it was
disturbed. FOLDER becomes a file system of its own, which can be filled. Each run is a fork of this
process, which has imported everything.
"""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from commands import QUICK

import local_runner
from pipeline.local_run import LocalRun
from pipeline.run_record import METADATA_FILE
from pipeline.session import Session

OUTPUT = Path("output")
SIZE = 1 << 30  # bytes of the file system
ROOM = 16 << 10  # bytes that are left of it when it is full
# Whether a busy machine answers fast enough is no matter here.
FLAGS = (*QUICK, "--serving.max_median_seconds", "60", "--serving.max_p99_seconds", "60")


def remount(size: int) -> None:
    """Gives the current folder's file system another size, in bytes."""
    subprocess.run(["mount", "-o", f"remount,size={size}", str(Path.cwd())], check=True)


def change_folders(mode: int) -> None:
    """Gives all folders of the output these rights."""
    for folder in [OUTPUT, *(path for path in OUTPUT.rglob("*") if path.is_dir())]:
        folder.chmod(mode)


def kill() -> None:
    """Ends this process, without a word to Python, within half a second."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, random.uniform(0.001, 0.5))


def fill_disk() -> None:
    """Leaves next to no room."""
    usage = os.statvfs(".")
    remount((usage.f_blocks - usage.f_bfree) * usage.f_frsize + ROOM)


def forbid_writing() -> None:
    """Takes the right to make anything in the folders of the output."""
    change_folders(0o555)


def damage_database() -> None:
    """Overwrites the head of ML Metadata's file, of which `repair` has a copy."""
    shutil.copy(OUTPUT / METADATA_FILE, "metadata.copy")
    with (OUTPUT / METADATA_FILE).open("r+b") as file:
        file.write(b"\0" * 4096)


FAULTS: dict[str, Callable[[], None]] = {
    "kill": kill,
    "disk": fill_disk,
    "permission": forbid_writing,
    "database": damage_database,
}


def repair() -> None:
    """Takes a fault back, whichever it was."""
    remount(SIZE)
    change_folders(0o755)
    if Path("metadata.copy").exists():
        Path("metadata.copy").replace(OUTPUT / METADATA_FILE)


def run(arguments: Sequence[str], fault: str = "", node: str = "") -> dict[str, object]:
    """What became of a run in which `fault` happens as soon as `node` is at work."""
    sys.stdout.flush()
    child = os.fork()
    if not child:
        screen = os.open("screen", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(screen, 1)
        os.dup2(screen, 2)
        sys.argv = ["local_runner.py", "--output", str(OUTPUT), *arguments]
        run_node = LocalRun.run_node

        def disturbed(self: LocalRun, node_id: str, use_cache: bool = True) -> object:
            if node_id == node:
                FAULTS[fault]()
            return run_node(self, node_id, use_cache)

        LocalRun.run_node = disturbed
        local_runner.main()
        os._exit(0)  # not reached: main exits
    _, status = os.waitpid(child, 0)
    repair()
    summary = OUTPUT / "summary.json"
    told = json.loads(summary.read_text("utf-8")) if summary.exists() else {}
    return {
        "fault": fault,
        "node": node,
        "exit_code": os.waitstatus_to_exitcode(status),
        "screen": Path("screen").read_text("utf-8", errors="replace"),
        "verdict": told.get("verdict"),
        "message": told.get("message"),
        "versions": sorted(path.name for path in (OUTPUT / "serving/fishnet").glob("[0-9]*")),
    }


def main() -> None:
    """A run that pushes, the disturbed ones with another seed, and one that ends them."""
    assert Session  # imported before the forks
    folder = Path(sys.argv[1]).resolve()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "runs", folder], check=True)
    os.chdir(folder)
    other = [*FLAGS, "--trainer.seed", "2", "--data.min_side", "7"]
    planned = [text.split(":") for text in sys.argv[2:]]
    for arguments in ([FLAGS], *([other, *each] for each in planned), [other]):
        sys.stdout.write(f"{json.dumps(run(*arguments))}\n")


if __name__ == "__main__":
    main()
