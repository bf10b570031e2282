import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOOLS = (
    *("awk", "bash", "cat", "cut", "dirname", "env", "flock", "mkdir", "mktemp", "rm"),
    *("sed", "sha256sum", "sh", "sort"),
)

# Stands for Python VERSION: tells its version, and that it was asked to make the environment.
PYTHON = """#!/bin/sh
case "$*" in
  *version_info*) echo VERSION ;;
  *--version*) echo Python VERSION.9 ;;
  *ensurepip*) exit HAS_VENV ;;
  *"-m venv"*) echo "made: $*"; exit 1 ;;
esac
"""


def program(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


def fake_python(path, version, has_venv=True):
    text = PYTHON.replace("VERSION", version).replace("HAS_VENV", "0" if has_venv else "1")
    program(path, text)


@pytest.fixture
def checkout(tmp_path):
    """A checkout in which nothing has been set up, its path with a space in it."""
    root = tmp_path / "a checkout"
    (root / "scripts").mkdir(parents=True)
    for path in (
        ROOT / "scripts" / "setup.sh",
        ROOT / "setup.py",
        *ROOT.glob("requirements-*.lock"),
    ):
        shutil.copy(path, root / path.relative_to(ROOT))
    return root


@pytest.fixture
def machine(tmp_path):
    """The folder with all programs of a machine that has no Python yet, but a compiler."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for tool in TOOLS:
        (tools / tool).symlink_to(shutil.which(tool))
    program(tools / "c++", "#!/bin/sh\n")
    return tools


def setup(root, tools=None, glibc="", **environment):
    """Runs the script; on the machine `tools`, with that version of glibc, if one is given."""
    if tools:
        if glibc:
            program(tools / "getconf", f"#!/bin/sh\necho glibc {glibc}\n")
        environment = {"PATH": str(tools), "HOME": str(tools.parent), **environment}
    return subprocess.run(
        [root / "scripts" / "setup.sh"], capture_output=True, text=True, env=environment, timeout=60
    )


def test_a_second_setup_does_nothing():
    if not (ROOT / ".venv").exists():
        pytest.skip("this checkout has no .venv: the tests run in an environment made otherwise")
    environment = {**os.environ, "EXTRAS": "", "PYTHON": ""}
    assert setup(ROOT, **environment).returncode == 0
    before = {path: path.stat().st_mtime for path in (ROOT / ".venv").iterdir()}
    again = setup(ROOT, **environment)
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")
    assert {path: path.stat().st_mtime for path in (ROOT / ".venv").iterdir()} == before


@pytest.mark.parametrize(
    ("glibc", "pythons", "chosen", "why"),
    [
        ("2.41", ["3.10", "3.12", "3.13"], "TFX 1.21 on Python 3.13", "glibc 2.41 carries it"),
        ("2.39", ["3.10", "3.12"], "TFX 1.21 on Python 3.12", "glibc 2.39 carries it"),
        ("2.41", ["3.10", "3.11", "3.14"], "TFX 1.16 on Python 3.10", "neither was found"),
        ("2.36", ["3.10", "3.12", "3.13"], "TFX 1.16 on Python 3.10", "this machine has 2.36"),
        ("2.4", ["3.10", "3.13"], "TFX 1.16 on Python 3.10", "this machine has 2.4"),
        ("", ["3.10", "3.13"], "TFX 1.16 on Python 3.10", "this machine has another C library"),
    ],
)
def test_the_machine_decides_on_the_stack(checkout, machine, glibc, pythons, chosen, why):
    for version in pythons:
        fake_python(machine / f"python{version}", version)
    done = setup(checkout, machine, glibc)
    assert f"setup: {chosen}.9: " in done.stdout
    assert why in done.stdout.splitlines()[0]
    assert "made: -m venv --clear .venv" in done.stdout


@pytest.mark.parametrize(
    ("glibc", "version"), [("2.41", "3.13"), ("2.39", "3.12"), ("2.35", "3.10")]
)
def test_a_python_is_found_by_whatever_name_it_has(checkout, machine, tmp_path, glibc, version):
    fake_python(machine / "python3", version)
    assert f"on Python {version}.9" in setup(checkout, machine, glibc).stdout
    (machine / "python3").unlink()
    fake_python(tmp_path / ".pyenv" / "versions" / f"{version}.9" / "bin" / "python", version)
    assert f"on Python {version}.9" in setup(checkout, machine, glibc).stdout


def test_uv_fetches_the_newest_python_that_fits(checkout, machine):
    found = machine / "its python"
    fake_python(found, "3.13")
    uv = f"""#!/bin/sh
case $2 in
  install) touch installed ;;
  find) [ -e installed ] && echo '{found}' ;;
esac
"""
    program(machine / "uv", uv)
    (machine / "touch").symlink_to(shutil.which("touch"))
    assert "TFX 1.21 on Python 3.13.9" in setup(checkout, machine, "2.41").stdout


@pytest.mark.parametrize(
    ("glibc", "python", "chosen"),
    [
        ("2.41", "3.12", "TFX 1.21 on Python 3.12.9: as PYTHON="),
        ("2.41", "3.10", "TFX 1.16 on Python 3.10.9: as PYTHON="),
        ("2.36", "3.10", "TFX 1.16 on Python 3.10.9: as PYTHON="),
    ],
)
def test_python_may_be_told(checkout, machine, tmp_path, glibc, python, chosen):
    fake_python(machine / "python3.13", "3.13")
    fake_python(tmp_path / "my python", python)
    done = setup(checkout, machine, glibc, PYTHON=str(tmp_path / "my python"))
    assert chosen in done.stdout


@pytest.mark.parametrize(
    ("glibc", "python", "told"),
    [
        ("2.41", "3.11", "is Python 3.11; it must be Python 3.10, 3.12 or 3.13"),
        ("2.41", "", "is no Python; it must be Python 3.10, 3.12 or 3.13"),
        ("2.36", "3.13", "is Python 3.13, on which TFX 1.21 runs, and that needs glibc 2.39"),
    ],
)
def test_a_python_that_does_not_fit_is_refused(checkout, machine, glibc, python, told):
    fake_python(machine / "other", python)
    done = setup(checkout, machine, glibc, PYTHON="other")
    assert done.returncode == 1
    assert told in done.stderr
    assert "made:" not in done.stdout


@pytest.mark.parametrize(
    ("glibc", "told", "ways"),
    [
        (
            "2.36",
            "Python 3.10 was not found",
            ("uv", "pyenv install 3.10", "apt-get install python3"),
        ),
        ("2.41", "3.13, 3.12 or 3.10 was not found", ("uv", "pyenv install 3.13", "python3-venv")),
    ],
)
def test_without_python_it_says_how_to_get_it(checkout, machine, glibc, told, ways):
    fake_python(machine / "python3", "3.11")
    done = setup(checkout, machine, glibc)
    assert done.returncode == 1
    assert told in done.stderr
    for way in ways:
        assert way in done.stderr
    assert not list((checkout / ".venv").glob(".setup-*"))


def test_one_command_brings_all_that_debian_keeps_apart(checkout, machine):
    (machine / "c++").unlink()
    fake_python(machine / "python3", "3.13", has_venv=False)
    done = setup(checkout, machine, "2.41")
    assert done.returncode == 1
    assert "sudo apt-get install g++ python3.13-venv\n" in done.stderr
    assert "made:" not in done.stdout


def test_an_environment_of_another_python_is_made_anew(checkout, machine):
    """A half-made .venv, as an interrupted setup leaves it, is not taken for a whole one."""
    broken = checkout / ".venv" / "bin"
    broken.mkdir(parents=True)
    (broken / "python").symlink_to("/bin/false")
    fake_python(machine / "python3.10", "3.10")
    done = setup(checkout, machine, "2.36")
    assert "made: -m venv --clear .venv" in done.stdout
    assert done.returncode == 1
    assert "could not make .venv" in done.stderr


def test_an_environment_that_is_there_keeps_its_python_unless_told(checkout, machine):
    fake_python(checkout / ".venv" / "bin" / "python", "3.10")
    fake_python(machine / "python3.13", "3.13")
    kept = setup(checkout, machine, "2.41")
    assert "made:" not in kept.stdout
    assert "installing requirements-tfx-1.16.lock" in kept.stdout
    told = setup(checkout, machine, "2.41", PYTHON="python3.13")
    assert "TFX 1.21 on Python 3.13.9" in told.stdout
    assert "made: -m venv --clear .venv" in told.stdout


def whole_environment(root):
    """Has `root` an environment of Python 3.10 in which all is installed; returns its stamp."""
    fake_python(root / ".venv" / "bin" / "python", "3.10")
    lock, declared = (root / name for name in ("requirements-tfx-1.16.lock", "setup.py"))
    digest = hashlib.sha256(lock.read_bytes() + declared.read_bytes() + b"\n").hexdigest()
    stamp = root / ".venv" / f".setup-{digest[:16]}"
    stamp.touch()
    return stamp


def test_a_whole_environment_is_used_where_nothing_can_be_written(checkout, machine):
    whole_environment(checkout)
    (checkout / ".venv.lock").mkdir()  # refuses to be written, even by root
    done = setup(checkout, machine, "2.36")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_python_that_is_refused_leaves_the_environment_whole(checkout, machine):
    stamp = whole_environment(checkout)
    assert setup(checkout, machine, "2.36", PYTHON="python3.99").returncode == 1
    assert stamp.exists()


@pytest.mark.parametrize("extras", ["onxx", "gpu torch", "gpu,", "GPU"])
def test_extras_that_setup_py_has_not_are_refused(checkout, machine, extras):
    fake_python(machine / "python3.10", "3.10")
    done = setup(checkout, machine, "2.36", EXTRAS=extras)
    assert done.returncode == 1
    assert f"EXTRAS={extras}: it must be one of gpu, onnx, torch, demo, dev, or" in done.stderr
    assert "made:" not in done.stdout


@pytest.mark.parametrize("extras", ["onnx", "gpu,torch"])
def test_extras_of_setup_py_are_taken(checkout, machine, extras):
    fake_python(machine / "python3.10", "3.10")
    assert "made:" in setup(checkout, machine, "2.36", EXTRAS=extras).stdout
