"""The locks: the image has what was developed with, and each package has its hashes."""

import ast
import importlib.metadata

import pytest
from image_sources import DEPLOY, ROOT, VARIANTS, locked
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

STACK = "1.21"  # the TFX of the image
STACK_LOCK = ROOT / f"requirements-tfx-{STACK}.lock"


# What the image's packages need is asked of the packages that are installed here.
same_stack = pytest.mark.skipif(
    not importlib.metadata.version("tfx").startswith(STACK),
    reason=f"the image has TFX {STACK}, this environment another one: tested in one that has it",
)


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
