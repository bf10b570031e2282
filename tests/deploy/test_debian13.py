"""A newcomer's Debian 13 with its own Python 3.13: set-up, the fast tests, runs that push."""

import dataclasses
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import clean_root
import pytest
from commands import QUICK, ROOT, start, wait

# What README asks for.
PACKAGES = "ca-certificates,g++,git,make,python3,python3-dev,python3-venv"
CHECKOUT = "home/fishnet-tfx"

pytestmark = [pytest.mark.slow, pytest.mark.next]


@pytest.fixture(scope="module")
def newcomer(tmp_path_factory):
    """Function: a shell command → what it writes, in this checkout on Debian 13.

    And a folder of this machine that is there by the same path.
    """
    if reason := clean_root.why_not():
        pytest.skip(f"no clean root can be built here: {reason}")
    folder = tmp_path_factory.mktemp("debian13")
    base = clean_root.debian(folder / "debian", "trixie", PACKAGES)
    layer, shared = folder / "layer", folder / "shared"
    shared.mkdir()
    (layer / str(shared)[1:]).mkdir(parents=True)
    copy_checkout(layer / CHECKOUT)
    image = dataclasses.replace(base, layers=[*base.layers, layer], workdir=f"/{CHECKOUT}")
    image.environment["HOME"] = "/root"
    binds, variables = clean_root.from_outside()

    def run(command: str) -> str:
        script = f"export {variables}; {command} 2>&1"
        return image.run("sh", "-c", script, binds=f"{binds} {shared}:{shared}", writable=True)

    yield run, shared
    shutil.rmtree(folder)


def copy_checkout(target: Path) -> None:
    """Copies the files that git knows, or would."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in names.split("\0"):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)


@pytest.mark.timeout(3000)
def test_set_up_takes_the_new_stack_and_says_why(newcomer):
    run, _ = newcomer
    why = r"^setup: TFX 1\.21 on Python 3\.13\S*: glibc 2\.\d+ carries it$"
    assert re.search(why, run("make setup"), re.MULTILINE)


@pytest.mark.timeout(3000)
def test_first_command_pushes(newcomer):
    run, _ = newcomer
    assert re.search(r"^verdict +pushed$", run("make run"), re.MULTILINE)


@pytest.mark.timeout(3000)
def test_fast_tests_pass(newcomer):
    run, _ = newcomer
    assert re.search(r"^\d+ passed", run("make test-fast"), re.MULTILINE)


@pytest.mark.timeout(3000)
@pytest.mark.skipif(sys.version_info >= (3, 12), reason="this machine has the new stack itself")
def test_run_goes_on_in_the_output_folder_of_the_other_stack(newcomer):
    """Its cache and its champion are taken, and the other way round."""
    run, shared = newcomer
    output = shared / "output"
    flags = ["--output", str(output), *QUICK]

    def run_there(*more: str) -> str:
        command = shlex.join(["python", f"/{CHECKOUT}/local_runner.py", *flags, *more])
        return run(f"cd {shared} && PATH=/{CHECKOUT}/.venv/bin:$PATH {command}")

    old = wait(start(shared, *flags), output)
    assert old.summary["verdict"] == "pushed"
    first = old.versions()
    screen = run_there()
    assert re.search(r"^Trainer +cached$", screen, re.MULTILINE)
    assert re.search(r"^verdict +unchanged$", screen, re.MULTILINE)
    screen = run_there("--trainer.seed", "2")
    assert re.search(r"^Transform +cached$", screen, re.MULTILINE)
    assert re.search(r"^min_top1_gain +\S+ ≥ -1 +met$", screen, re.MULTILINE)
    assert re.search(r"^verdict +pushed$", screen, re.MULTILINE)
    again = wait(start(shared, *flags, "--trainer.seed", "3"), output)
    assert again.summary["verdict"] == "pushed"
    assert set(first) < set(again.versions())
    assert len(again.versions()) == 3
