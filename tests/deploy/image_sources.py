"""Reads what the image is built from: the Dockerfile and the locks."""

from pathlib import Path

import clean_root
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
DOCKERFILE = DEPLOY / "Dockerfile"
VARIANTS = ("cpu", "gpu")
PYTHON = {"python_version": "3.13", "python_full_version": "3.13.5"}  # of the image


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


def instructions(name=None):
    """The Dockerfile's instructions; those called `name`, their arguments only."""
    everything = clean_root.instructions(DOCKERFILE)
    return [text for kind, text in everything if kind == name] if name else everything
