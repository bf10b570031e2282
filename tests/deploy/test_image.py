"""The Dockerfile and its scripts, as they are written; test_image_built.py carries them out."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from image_sources import DEPLOY, DOCKERFILE, ROOT, instructions, locked

SCRIPTS = sorted((DEPLOY / "image").glob("*.sh"))


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


def test_the_documentations_job_servers_are_of_the_images_beam():
    version, _ = locked(DEPLOY / "requirements-cpu.lock")["apache-beam"]
    shown = re.findall(r"job.server[-:](\d[\d.]*\d)", (ROOT / "docs" / "beam.md").read_text())
    assert shown == [version, version]


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
