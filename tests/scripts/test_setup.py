import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def setup(root, **environment):
    return subprocess.run(
        [root / "scripts" / "setup.sh"], capture_output=True, text=True, env=environment, timeout=60
    )


@pytest.fixture
def checkout(tmp_path):
    """A checkout in which nothing has been set up, its path with a space in it."""
    root = tmp_path / "a checkout"
    (root / "scripts").mkdir(parents=True)
    for name in ("scripts/setup.sh", "requirements.lock", "setup.py"):
        shutil.copy(ROOT / name, root / name)
    return root


def test_a_second_setup_does_nothing():
    if not (ROOT / ".venv").exists():
        pytest.skip("this checkout has no .venv: the tests run in an environment made otherwise")
    environment = {**os.environ, "EXTRAS": ""}
    assert setup(ROOT, **environment).returncode == 0
    before = {path: path.stat().st_mtime for path in (ROOT / ".venv").iterdir()}
    again = setup(ROOT, **environment)
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")
    assert {path: path.stat().st_mtime for path in (ROOT / ".venv").iterdir()} == before


def test_without_python_310_it_says_how_to_get_it(checkout, tmp_path):
    tools = tmp_path / "bin"
    tools.mkdir()
    for tool in ("bash", "env", "dirname", "mkdir", "flock", "cat", "sha256sum", "cut", "rm"):
        (tools / tool).symlink_to(shutil.which(tool))
    done = setup(checkout, PATH=str(tools), HOME=str(tmp_path))
    assert done.returncode == 1
    assert "Python 3.10 was not found" in done.stderr
    for way in ("uv", "pyenv install 3.10", "apt-get install python3.10"):
        assert way in done.stderr
    assert not list((checkout / ".venv").glob(".setup-*"))


def test_an_environment_of_another_python_is_made_anew(checkout, tmp_path):
    """A half-made .venv, as an interrupted setup leaves it, is not taken for a whole one."""
    broken = checkout / ".venv" / "bin"
    broken.mkdir(parents=True)
    (broken / "python").symlink_to("/bin/false")
    python310 = tmp_path / "bin" / "python3.10"
    python310.parent.mkdir()
    # Stands for Python 3.10: tells its version, and that it was asked to make the environment.
    python310.write_text('#!/bin/sh\ncase "$*" in *"-m venv"*) echo "made: $*"; exit 1;; esac\n')
    python310.chmod(0o755)
    done = setup(checkout, PATH=f"{python310.parent}:{os.environ['PATH']}", HOME=str(tmp_path))
    assert "made: -m venv --clear .venv" in done.stdout
    assert done.returncode == 1
    assert "could not make .venv" in done.stderr
