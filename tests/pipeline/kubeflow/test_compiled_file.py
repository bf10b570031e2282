"""The compiled pipeline's file: its text is text to Go's YAML readers too, and it is read again."""

import json
import re

import pytest
import yaml
from compiling import EVERY_SETTING, compiled

from pipeline.kubeflow.package import Package, PackageError, read_package
from pipeline.target import Target

# resolve.go of gopkg.in/yaml.v2 and v3, which Kubeflow's API server reads with.
GO_WORDS = {
    *("", "~", "null", "Null", "NULL", "<<"),
    *("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"),
    *("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"),
    *(f"{sign}.{word}" for sign in ("", "+", "-") for word in ("inf", "Inf", "INF")),
    *(".nan", ".NaN", ".NAN"),
}
GO_NUMBER = re.compile(
    r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?"  # yamlStyleFloat
    r"|[-+]?(0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO]?[0-7]+)"  # strconv.ParseInt(…, 0, 64)
)
GO_TIMESTAMP = re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt ].*)?")

TEXTS = [
    *("12e4567", "1e5", "0123", "0o17", "0x1f", "0b11", "1_000", "+1", "-1", ".5", "5.", "1:30"),
    *("2026-11-23", "2026-11-23T10:00:00Z", "2.1.0", "", " ", "~", "null", "Null", ".inf", ".NaN"),
    *("y", "Y", "n", "N", "yes", "no", "on", "Off", "true", "FALSE", "=", "<<", "-", "?", ":"),
    *("a: b", "a #b", "%a", "@a", "`a", "!a", "&a", "*a", "|", ">", "[a", "{a", "'a", '"a', ", a"),
    *(
        "a\nb",
        " a\nb",
        "\na",
        "a\n\n\n",
        "  \n a",
        "a \nb",
        "a\r\nb",
        "---\na",
        "...",
        "\ta",
        "a\t",
    ),
    *("é", "😀", "\x85", "\u2028a", "\ufeff", "\x07", "{{$}}", "a" * 300, "word " * 60),
]


def is_text_to_go(plain: str) -> bool:
    """Whether an unquoted scalar is text, by the strictest of the readers."""
    number = GO_NUMBER.fullmatch(plain.replace("_", ""))
    return not (plain in GO_WORDS or number or GO_TIMESTAMP.fullmatch(plain))


def plain_texts(text: str) -> set[str]:
    """The unquoted scalars of a YAML file that are to be text."""
    loader, found = yaml.SafeLoader, set()
    for event in yaml.parse(text, loader):
        if isinstance(event, yaml.ScalarEvent) and event.style is None:
            resolved = loader("").resolve(yaml.ScalarNode, event.value, event.implicit)
            if resolved == "tag:yaml.org,2002:str":
                found.add(event.value)
    return found


def test_the_rules_of_go_are_at_work():
    assert not any(map(is_text_to_go, ["12e45", "0o17", "0x1f", "1_000", "y", "~", "2026-1-1"]))
    assert plain_texts("a: [y, 12e45, 1, true, 'no']") == {"a", "y", "12e45"}


def test_no_text_of_the_pipeline_is_something_else_to_go():
    texts = plain_texts(compiled(cluster=EVERY_SETTING).to_text())
    assert len(texts) > 100
    assert [text for text in texts if not is_text_to_go(text)] == []


@pytest.mark.parametrize("text", TEXTS, ids=ascii)
def test_any_text_is_written_as_text(text):
    spec = {"name": text, text: 1, "nested": {"list": [{"of": text}, text]}}
    written = Package(Target.KFP, spec).to_text()
    assert written.isascii()  # kfp reads it in the user's locale
    assert yaml.safe_load(written) == spec
    assert [plain for plain in plain_texts(written) if not is_text_to_go(plain)] == []


def test_vertex_ais_file_is_ascii_and_the_same_to_readers_of_json_and_yaml():
    numbers = [1e-05, -1e-5, 5e20, 1.5e-7, 1, 0.1, True, None]
    texts = ["é", '": 1e-05', "1e-05", "\n1e-05", '\\": 1e-05']
    spec = {"list": [*numbers, *texts], **{text: text for text in texts}, "number": 1e-05}
    text = Package(Target.VERTEX, spec, job={"pipelineSpec": spec}).to_text()
    assert text.isascii()
    assert json.loads(text) == {"pipelineSpec": spec}
    assert yaml.safe_load(text) == {"pipelineSpec": spec}


@pytest.mark.parametrize("target", [Target.KFP, Target.VERTEX])
def test_what_is_written_is_read_again(target, tmp_path):
    package = compiled(target, EVERY_SETTING)
    file = tmp_path / f"pipeline.{'yaml' if target is Target.KFP else 'json'}"
    file.write_text(package.to_text(), "utf-8")
    assert read_package(file) == package
    assert read_package(file).to_text() == package.to_text()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("p.yaml", b""),
        ("p.yaml", b"a: [1"),
        ("p.yaml", b"text"),
        ("p.yaml", b"a: 1\n---\nb: 1\n---\nc: 1\n"),
        ("p.yaml", b"\xff\xfe\x00"),
        ("p.yaml", b"[" * 1_000),
        ("p.json", b"{"),
        ("p.json", b"[]"),
        ("p.json", b'{"schemaVersion": "2.1.0"}'),
        ("p.json", b'{"pipelineSpec": []}'),
        ("p.txt", b"a: 1"),
    ],
)
def test_another_file_is_refused_by_name(name, content, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(PackageError, match=f"{name} is not a compiled pipeline"):
        read_package(tmp_path / name)


def test_what_every_pod_mounts_is_known_of_a_file():
    assert compiled(cluster=EVERY_SETTING).mounted == ("/checkpoints", "/models")
    assert compiled().mounted == ()
