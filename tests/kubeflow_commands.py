"""Runs kubeflow_runner.py in processes of its own; the flags without which nothing is compiled."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import kubeflow_runner

SCRIPT = Path(kubeflow_runner.__file__)
IMAGE = f"registry/fishnet@sha256:{'a' * 64}"
KFP = ("--image", IMAGE, "--pipeline-root", "minio://bucket/below")
VERTEX = ("--target", "vertex", "--image", IMAGE, "--pipeline-root", "gs://bucket/below")


def start(
    cwd: Path, *arguments: object, prefix: Sequence[str] = (), **environment: str
) -> subprocess.Popen:
    """Starts `python kubeflow_runner.py` in `cwd`, with no environment but the given one."""
    return subprocess.Popen(
        [*prefix, sys.executable, SCRIPT, *arguments],
        cwd=cwd,
        env={"PATH": os.environ["PATH"], **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(process: subprocess.Popen) -> tuple[int, str, str]:
    """Exit code, stdout and stderr."""
    screen, errors = process.communicate()
    return process.returncode, screen, errors
