"""Reads the manifests in deploy/serving."""

import re

import yaml
from commands import ROOT

SERVING = ROOT / "serving"
MANIFESTS = ROOT / "deploy" / "serving"
BASE = MANIFESTS / "base"
DOCS = ROOT / "docs" / "kubernetes.md"


def load(path):
    [document] = yaml.safe_load_all(path.read_text("utf-8"))
    return document


def base(kind):
    [found] = [manifest for path in BASE.glob("*.yaml") if (manifest := load(path))["kind"] == kind]
    return found


def flags(arguments):
    matches = [re.fullmatch(r"--(\w+)=(\S+)", argument) for argument in arguments]
    assert all(matches)
    return dict(match.groups() for match in matches)
