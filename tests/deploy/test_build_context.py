"""What goes to Docker when the image is built, and what stays here."""

import re

import clean_root
import pytest
from image_sources import ROOT, VARIANTS, instructions


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
