"""Each node is killed, has a full disk, may not write, or finds the record damaged.

In a run of the tests each node has one of these, in turn; with FAULTS=all in the environment, all.
"""

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from commands import ROOT

from pipeline.nodes import NODES, PUSHER, REPORT

PROGRAM = Path(__file__).with_name("disturbed_runs.py")
FAULTS = ("kill", "disk", "permission", "database")
CHOSEN = (
    itertools.product(NODES, FAULTS)
    if os.environ.get("FAULTS") == "all"
    else zip(NODES, itertools.cycle(FAULTS))
)
PLANNED = [f"{fault}:{node}" for node, fault in CHOSEN]
# A file system of its own, and no right beyond those of the files' owner.
PREFIX = ("unshare", "--map-root-user", "--mount", "setpriv")
OWNER_ONLY = "--bounding-set=-dac_override,-dac_read_search"

# What a screen says of a fault, whichever of the two it was that could still be written.
WORDS = {
    "disk": ("No space left on device",),
    "permission": ("Permission denied",),
    "database": ("the record of earlier runs cannot be read", "Move it away"),
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> dict[str, dict]:
    """What became of each run; the first and the last, undisturbed, have neither fault nor node."""
    folder = tmp_path_factory.mktemp("disturbed")
    mount = [*PREFIX, OWNER_ONLY, "mount", "-t", "tmpfs", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("needs the right to mount in a namespace of its own")
    command = [*PREFIX, OWNER_ONLY, sys.executable, PROGRAM, folder, *PLANNED]
    env = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}", "TF_CPP_MIN_LOG_LEVEL": "3"}
    ended = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", env=env)
    assert ended.returncode == 0, ended.stderr[-3000:]
    found = [json.loads(line) for line in ended.stdout.splitlines()]
    names = ["first", *PLANNED, "last"]
    return dict(zip(names, found, strict=True))


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("planned", PLANNED)
def test_disturbed_node(runs, planned):
    fault, node = planned.split(":")
    ended = runs[planned]
    screen = " ".join(ended["screen"].split())
    [pushed] = runs["first"]["versions"]
    assert pushed in ended["versions"]
    assert "Traceback" not in screen
    if node in (PUSHER, REPORT):  # what comes after the push takes nothing back
        assert len(ended["versions"]) <= 2
    else:
        assert ended["versions"] == [pushed]
    if fault == "kill":
        assert ended["exit_code"] in (-14, 0)  # it may have been over before
    elif node == REPORT:  # decides nothing
        assert "no report: " in screen or "cannot be written" in screen or "error: " in screen
    else:
        assert ended["exit_code"] == 1
        for words in WORDS[fault]:
            assert words in screen


@pytest.mark.slow
def test_what_was_disturbed_goes_on_to_the_push(runs):
    first, last = runs["first"], runs["last"]
    assert (first["exit_code"], first["verdict"]) == (0, "pushed")
    assert last["exit_code"] == 0
    assert last["verdict"] in ("pushed", "unchanged")  # it may have been pushed before its kill
    assert set(first["versions"]) < set(last["versions"])
