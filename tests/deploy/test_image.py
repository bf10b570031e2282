import ast
import importlib.metadata
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import clean_root
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
DOCKERFILE = DEPLOY / "Dockerfile"
SCRIPTS = sorted((DEPLOY / "image").glob("*.sh"))
VARIANTS = ("cpu", "gpu")
STACK = "1.21"  # the TFX of the image
PYTHON = {"python_version": "3.13", "python_full_version": "3.13.5"}  # likewise
STACK_LOCK = ROOT / f"requirements-tfx-{STACK}.lock"


# What the image's packages need is asked of the packages that are installed here.
same_stack = pytest.mark.skipif(
    not importlib.metadata.version("tfx").startswith(STACK),
    reason=f"the image has TFX {STACK}, this environment another one: tested in one that has it",
)


def locked(path):
    """{package: (version, hashes)} of a lock; of several, the one for the image's Python."""
    found = {}
    for line in path.read_text("utf-8").replace("\\\n", " ").splitlines():
        if line.lstrip().startswith("#"):
            continue
        pin, *hashes = line.split("--hash=")
        requirement = Requirement(pin)
        if not requirement.marker or requirement.marker.evaluate(PYTHON):
            version = str(requirement.specifier).removeprefix("==")
            found[requirement.name] = (version, {each.strip() for each in hashes})
    return found


def declared(name):
    """A constant of setup.py."""
    for node in ast.parse((ROOT / "setup.py").read_text("utf-8")).body:
        if isinstance(node, ast.Assign) and node.targets[0].id == name:
            return ast.literal_eval(node.value)
    raise AssertionError(name)


def needed(requirements):
    """The names of all that `requirements` need, by what the installed packages say."""
    found, waiting = {}, [line for line in map(Requirement, requirements) if applies(line)]
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        new = {"", *requirement.extras} - found.setdefault(name, set())
        found[name] |= new
        try:
            lines = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            lines = []  # of the gpu extra, which this environment need not have
        for line in map(Requirement, lines):
            if any(applies(line, extra) for extra in new):
                waiting.append(line)
    return set(found)


def applies(requirement, extra=""):
    """Whether a requirement is one on this Python, of who asks for `extra`."""
    return not requirement.marker or requirement.marker.evaluate({"extra": extra})


def instructions(name=None):
    """The Dockerfile's instructions; those called `name`, their arguments only."""
    everything = clean_root.instructions(DOCKERFILE)
    return [text for kind, text in everything if kind == name] if name else everything


def stages():
    """The instructions of each stage."""
    found = []
    for kind, text in instructions():
        if kind == "FROM":
            found.append([])
        if found:
            found[-1].append((kind, text))
    return found


def tool(name, *arguments):
    """Runs a command-line tool of this environment."""
    command = [Path(sys.executable).parent / name, *arguments]
    return subprocess.run(command, capture_output=True, text=True)


# The locks


@pytest.mark.parametrize(
    "name", [*(f"requirements-{variant}" for variant in VARIANTS), "requirements-build"]
)
def test_what_the_image_has_is_what_was_developed_with(name):
    everything, lock = locked(STACK_LOCK), locked(DEPLOY / f"{name}.lock")
    other = {package for package, pin in lock.items() if everything.get(package) != pin}
    assert all(package.startswith("nvidia-") for package in other), other
    assert bool(other) == name.endswith("gpu")


@pytest.mark.parametrize(
    "path",
    sorted([*DEPLOY.glob("*.lock"), *ROOT.glob("requirements-*.lock")]),
    ids=lambda path: path.name,
)
def test_every_package_has_hashes(path):
    lock = locked(path)
    assert lock
    assert not [package for package, (_, hashes) in lock.items() if not hashes]
    assert "://" not in path.read_text("utf-8")  # no index, no host


@same_stack
def test_the_cpu_image_has_what_setup_py_asks_for_and_nothing_else():
    """No dev tools: `make lock` was run since setup.py changed."""
    requirements = declared("BOTH") + declared("TFX_1_21")
    assert set(locked(DEPLOY / "requirements-cpu.lock")) == needed(requirements)
    lock = locked(DEPLOY / "requirements-cpu.lock")
    for requirement in map(Requirement, requirements):
        assert requirement.specifier.contains(lock[canonicalize_name(requirement.name)][0])


@same_stack
def test_the_gpu_image_has_cuda_on_top():
    cpu, gpu = (locked(DEPLOY / f"requirements-{variant}.lock") for variant in VARIANTS)
    assert {name: pin for name, pin in gpu.items() if name in cpu} == cpu
    requirements = declared("BOTH") + declared("TFX_1_21") + declared("EXTRAS_REQUIRE")["gpu"]
    assert set(gpu) == needed(requirements)
    assert {"nvidia-cudnn-cu12", "nvidia-cublas-cu12", "nvidia-cuda-nvcc-cu12"} <= set(gpu) - set(
        cpu
    )


@pytest.mark.parametrize(("stack", "pins"), [("1.16", "TFX_1_16"), ("1.21", "TFX_1_21")])
def test_each_stack_has_its_pins_locked(stack, pins):
    lock = locked(ROOT / f"requirements-tfx-{stack}.lock")
    for requirement in map(Requirement, declared("BOTH") + declared(pins)):
        assert requirement.specifier.contains(lock[canonicalize_name(requirement.name)][0])


# The Dockerfile


def test_the_dockerfile_passes_the_linter():
    done = tool("hadolint", DOCKERFILE)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_images_it_starts_from_are_of_docker_hub_and_pinned():
    names = [text.partition("=")[2] for kind, text in instructions()[:2] if kind == "ARG"]
    assert names == ["python:3.13-slim-trixie", "apache/beam_python3.13_sdk:2.77.0"]
    # A registry's host has a dot or a port; a tag comes last.
    assert not [name for name in names if "." in name.split("/")[0].split(":")[0]]
    own = [text.partition(" AS ")[2] for text in instructions("FROM")]
    for text in instructions("FROM"):
        assert text.startswith("${") or text.partition(" AS ")[0] in own, text


def test_beams_boot_is_of_the_version_of_beam():
    version, _ = locked(DEPLOY / "requirements-cpu.lock")["apache-beam"]
    assert f"BEAM_IMAGE=apache/beam_python3.13_sdk:{version}" in instructions("ARG")


def test_it_copies_only_files_and_names_no_secret():
    assert not instructions("ADD")
    names = [
        word for text in instructions("ARG") + instructions("ENV") for word in shlex.split(text)
    ]
    assert not re.search("TOKEN|PASSWORD|SECRET|KEY=|CREDENTIAL", " ".join(names).upper())


def test_the_user_is_a_number_and_not_root():
    kinds = [kind for kind, _ in stages()[-1]]
    [user] = instructions("USER")
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user)
    uid = user.partition(":")[0]
    assert f"--uid {uid} " in (DEPLOY / "image" / "install-system.sh").read_text("utf-8")
    # Only the check of the finished image comes after it.
    after = stages()[-1][kinds.index("USER") :]
    assert [text for kind, text in after if kind == "RUN"] == ["/opt/image/smoke.sh"]


def test_labels_tell_the_version_and_the_commit():
    [labels] = instructions("LABEL")
    values = dict(word.split("=", 1) for word in shlex.split(labels))
    assert values["org.opencontainers.image.version"] == "${VERSION}"
    assert values["org.opencontainers.image.revision"] == "${COMMIT}"
    assert values["org.opencontainers.image.licenses"] == "Apache-2.0"


def test_a_commit_changes_only_the_layers_after_the_packages():
    requirements, project, last = stages()[1:]
    sources = [text for kind, text in requirements if kind == "COPY"]
    assert all("." not in text.split()[:-1] for text in sources)  # not the project
    assert project[0] == ("FROM", "requirements AS project")
    order = [text for kind, text in last if kind in ("COPY", "ARG")]
    packages, ours = (f"--from={stage} " for stage in ("requirements", "project"))
    positions = [
        next(i for i, text in enumerate(order) if text.startswith(start))
        for start in (packages, ours, "VERSION", "COMMIT")
    ]
    assert positions == sorted(positions)
    assert [kind for kind, _ in last].index("LABEL") > max(
        i for i, (kind, _) in enumerate(last) if kind == "RUN"
    )


# The scripts


def test_every_step_is_a_script_that_is_copied_first():
    used = set()
    for stage in stages():
        copied = set()
        for kind, text in stage:
            words = shlex.split(text)
            if kind == "COPY" and len(words) == 2 and words[0].startswith("deploy/image/"):
                copied.add(words[1] + Path(words[0]).name)
            if kind == "RUN":
                assert words[0] in copied
                used.add(Path(words[0]).name)
    assert used == {path.name for path in SCRIPTS}


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_the_script_is_sound(path):
    assert os.access(path, os.X_OK)
    assert path.read_text("utf-8").startswith("#!/usr/bin/env bash\n")
    assert "\nset -euo pipefail\n" in path.read_text("utf-8")
    assert subprocess.run(["bash", "-n", path]).returncode == 0
    done = tool("shellcheck", path)
    assert (done.returncode, done.stdout) == (0, "")


# The build context


@pytest.mark.parametrize(
    "path",
    [
        ".env",
        ".git/config",
        ".venv/bin/python",
        "credentials.json",
        "id_rsa",
        "data/digits/train/train-00000-of-00001",
        "output/digits/serving/fishnet/1/saved_model.pb",
        "shared/design.md",
        "tests/deploy/test_image.py",
        "docs/image.md",
        "benchmarks/bench_networks.py",
        "requirements-tfx-1.16.lock",
        "README.md",
        "fishnet_tfx.egg-info/PKG-INFO",
        "components/__pycache__/record.cpython-310.pyc",
        "components/train/.env",
        "deploy/.kube/config",
        "pipeline/a/b/.secret",
        "components_old/record.py",
    ],
)
def test_it_stays_out_of_the_build_context(path):
    assert not clean_root.in_context(path, (ROOT / ".dockerignore").read_text("utf-8"))


def test_all_that_is_built_from_is_in_the_build_context():
    sent = set(clean_root.context_files(ROOT))
    packages = re.search(r"include=\[(.*?)\]", (ROOT / "setup.py").read_text("utf-8"), re.DOTALL)
    for package in re.findall(r'"(\w+)\*"', packages.group(1)):
        sources = {str(path.relative_to(ROOT)) for path in (ROOT / package).rglob("*.py")}
        assert sources and sources <= sent, sources - sent
    modules = re.search(r"py_modules=\[(.*?)\]", (ROOT / "setup.py").read_text("utf-8")).group(1)
    assert {f"{module}.py" for module in re.findall(r"\w+", modules)} <= sent
    assert {"setup.py", "pyproject.toml", "LICENSE", "pipeline/schema.pbtxt"} <= sent
    copied = [
        word for text in instructions("COPY") if "--from" not in text for word in text.split()[:-1]
    ]
    for source in copied:
        for variant in VARIANTS:
            assert source == "." or source.replace("${VARIANT}", variant) in sent


def test_make_image_tells_the_variant_and_the_commit():
    done = subprocess.run(
        ["make", "--silent", "image", "DOCKER=echo docker", "VARIANT=gpu", "ARGS=--pull"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    words = done.stdout.split()
    assert words[:2] == ["docker", "build"]
    assert words[-2:] == ["--pull", "."]
    assert "VARIANT=gpu" in words
    assert "fishnet-tfx:0.1.0-gpu" in words
    assert re.search(r"COMMIT=([0-9a-f]{40}(-dirty)?)?( |$)", done.stdout)


@pytest.mark.parametrize(
    ("pattern", "path", "is_in"),
    [
        ("*", "a", False),
        ("*", "a/b", False),
        ("*\n!a", "a/b", True),
        ("*\n!a\n**/.*", "a/b/.c", False),
        ("*\n!a\n**/.*", ".c/d", False),
        ("a/*.py", "a/b/c.py", True),
        ("**/*.py[cod]", "a/b.pyc", False),
        ("**/*.py[cod]", "a/b.py", True),
        ("# a\n\n", "a", True),
    ],
)
def test_patterns_mean_what_they_mean_to_docker(pattern, path, is_in):
    assert clean_root.in_context(path, pattern) == is_in
