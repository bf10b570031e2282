"""The compiled pipeline's file: its text is text to Go's YAML readers too, and it is read again."""

import json
import re

import pytest
import yaml
from compiling import EVERY_SETTING, ROOT, compiled

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
    ("name", "content", "told"),
    [
        ("p.yaml", b"", ": it is empty"),
        ("p.yaml", b" \n", ": it is empty"),
        ("p.yaml", b"---\n", ": it is empty"),
        ("p.yaml", b"a: [1", ": while parsing a flow sequence in .*, line 1, column 4 expected "),
        ("p.yaml", b"a: 1\nb: " + b"word " * 99 + b": 1", ": .*, line 2, column "),
        ("p.yaml", b"a: *" + b"b" * 999, ": found undefined alias 'bbb"),
        ("p.yaml", b"a: !!timestamp b", ": "),
        ("p.yaml", b"a: 2026-13-01", ": month must be in 1..12"),
        ("p.yaml", b"text", ": a document of it is no mapping"),
        ("p.yaml", b"a: 1\n---\n", ": a document of it is no mapping"),
        ("p.yaml", b"a: 1\n---\nb: 1\n---\nc: 1\n", ": it has 3 documents, not one or two"),
        ("p.yaml", b"\xff\xfe\x00", ": it is not text"),
        ("p.json", b"\xff" * 9_999, ": it is not text"),
        ("p.yaml", b"[" * 1_000, ": "),
        ("p.json", b"[" * 99_999, ": maximum recursion depth exceeded"),
        ("p.json", b"", ": it is empty"),
        ("p.json", b"{", ": Expecting .*: line 1 column 2"),
        ("p.json", b"null", ": it has no pipelineSpec"),
        ("p.json", b"[]", ": it has no pipelineSpec"),
        ("p.json", b'{"schemaVersion": "2.1.0"}', ": it has no pipelineSpec"),
        ("p.json", b'{"pipelineSpec": []}', ": it has no pipelineSpec"),
        ("p.txt", b"a: 1", "; compile writes .yaml or .json"),
    ],
)
def test_another_file_is_refused_in_one_line(name, content, told, tmp_path):
    file = tmp_path / name
    file.write_bytes(content)
    with pytest.raises(PackageError) as caught:
        read_package(file)
    message = str(caught.value)
    assert re.match(re.escape(f"{file} is not a compiled pipeline") + told, message)
    assert message.isprintable()  # no line ends either
    assert len(message) < 300


def test_what_every_pod_mounts_is_known_of_a_file():
    assert compiled(cluster=EVERY_SETTING).mounted == ("/checkpoints", "/models")
    assert compiled().mounted == ()


# Of what is wrong here, `faults` does not tell: it takes a pod's settings for any struct.
UNREADABLE = {
    "no platforms": {"platforms": None},
    "a list of platforms": {"platforms": []},
    "no Kubernetes": {"platforms": {"kubernetes": None}},
    "no settings": {"platforms": {"kubernetes": {"deploymentSpec": {"executors": None}}}},
    "no pod": {"Pusher_executor": None},
    "no volumes": {"Pusher_executor": {"pvcMount": None}},
    "no list of volumes": {"Pusher_executor": {"pvcMount": {"mountPath": "/models"}}},
    "no volume": {"Pusher_executor": {"pvcMount": [None]}},
    "no folder": {"Pusher_executor": {"pvcMount": [{"constant": "models"}]}},
    "a number": {"Pusher_executor": {"pvcMount": [{"mountPath": 1}]}},
    "a list": {"Pusher_executor": {"pvcMount": [{"mountPath": []}]}},
    "snake case": {"Pusher_executor": {"pvcMount": [{"mount_path": "/models"}]}},
}


@pytest.mark.parametrize("what", UNREADABLE)
def test_what_cannot_be_read_is_no_mounted_folder(what):
    document = UNREADABLE[what]
    if "platforms" not in document:
        document = {"platforms": {"kubernetes": {"deploymentSpec": {"executors": document}}}}
    assert Package(Target.KFP, {}, platforms=document).mounted == ()


def test_a_folder_is_mounted_beside_one_that_cannot_be_read():
    pod = {"pvcMount": [{"constant": "data"}, {"constant": "models", "mountPath": "/models"}]}
    document = {"platforms": {"kubernetes": {"deploymentSpec": {"executors": {"Pusher": pod}}}}}
    assert Package(Target.KFP, {}, platforms=document).mounted == ("/models",)


@pytest.mark.parametrize(
    ("spec", "root"),
    [
        ({"defaultPipelineRoot": ROOT}, ROOT),
        ({"defaultPipelineRoot": None}, ""),
        ({"defaultPipelineRoot": 1}, ""),
        ({}, ""),
    ],
)
def test_the_default_root_is_empty_if_there_is_none(spec, root):
    assert Package(Target.KFP, spec).default_root == root


@pytest.mark.parametrize("target", [Target.KFP, Target.VERTEX])
def test_what_is_compiled_has_a_default_root(target):
    assert compiled(target).default_root == ROOT
