"""A newcomer's Debian 13 with its own Python 3.13: set-up, the fast tests, a run that pushes."""

import dataclasses
import re
import shutil
import subprocess
from pathlib import Path

import clean_root
import pytest

ROOT = Path(__file__).parents[2]
# What README asks for.
PACKAGES = "ca-certificates,g++,git,make,python3,python3-dev,python3-venv"
CHECKOUT = "home/fishnet-tfx"

pytestmark = [pytest.mark.slow, pytest.mark.next]


@pytest.fixture(scope="module")
def newcomer(tmp_path_factory):
    """Function: a make target → what it writes, in this checkout on Debian 13."""
    if reason := clean_root.why_not():
        pytest.skip(f"no clean root can be built here: {reason}")
    folder = tmp_path_factory.mktemp("debian13")
    base = clean_root.debian(folder / "debian", "trixie", PACKAGES)
    layer = folder / "layer"
    copy_checkout(layer / CHECKOUT)
    image = dataclasses.replace(base, layers=[*base.layers, layer], workdir=f"/{CHECKOUT}")
    image.environment["HOME"] = "/root"
    binds, variables = clean_root.from_outside()

    def make(target: str) -> str:
        command = f"export {variables}; make {target} 2>&1"
        return image.run("sh", "-c", command, binds=binds, writable=True)

    yield make
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
    assert re.search(
        r"^setup: TFX 1\.21 on Python 3\.13\S*: glibc 2\.\d+ carries", newcomer("setup")
    )


@pytest.mark.timeout(3000)
def test_the_run_pushes(newcomer):
    assert re.search(r"^verdict +pushed$", newcomer("run"), re.MULTILINE)


@pytest.mark.timeout(3000)
def test_the_fast_tests_pass(newcomer):
    assert re.search(r"^\d+ passed", newcomer("test-fast"), re.MULTILINE)
