"""The compiled pipeline's file: YAML for Kubeflow Pipelines, JSON for Vertex AI."""

import dataclasses
import io
import json
import re
from pathlib import Path
from typing import Any

import yaml

from pipeline.target import Target

SUFFIXES = {Target.KFP: (".yaml", ".yml"), Target.VERTEX: (".json",)}
# A line of JSON, with or without a key, whose value is a number with an exponent and no point.
BARE_EXPONENT = re.compile(r"""^( *(?:"(?:[^"\\]|\\.)*": )?-?\d)(e[-+]\d+,?)$""", re.MULTILINE)

# What the readers of YAML and JSON raise, besides YAMLError: a tag that does not fit its value
# gets PyYAML to stumble.
BROKEN = (ValueError, LookupError, TypeError, AttributeError, RecursionError)
LONGEST_REASON = 180  # characters


class PackageError(ValueError):
    """A file is not a compiled pipeline; the message says what is wrong with it."""


@dataclasses.dataclass(frozen=True)
class Package:
    """A compiled pipeline.

    Attributes:
      target: What it was compiled for.
      spec: The PipelineSpec.
      platforms: Kubeflow Pipelines' second document; empty if there is none.
      job: Vertex AI's PipelineJob around the spec.
    """

    target: Target
    spec: dict[str, Any]
    platforms: dict[str, Any] = dataclasses.field(default_factory=dict)
    job: dict[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def mounted(self) -> tuple[str, ...]:
        """The folders at which volumes are mounted in every pod."""
        pods: Any = self.platforms
        for key in ("platforms", "kubernetes", "deploymentSpec", "executors"):
            pods = _field(pods, key)
        folders = [_mounted(pod) for pod in pods.values()] if isinstance(pods, dict) else []
        return tuple(sorted(set.intersection(*folders))) if folders else ()

    @property
    def default_root(self) -> str:
        """The folder of a run's artifacts if it is told no other; empty if there is none."""
        root = self.spec.get("defaultPipelineRoot")
        return root if isinstance(root, str) else ""

    def to_text(self) -> str:
        """The file's content; the same for the same package.

        It is ASCII: kfp and google-cloud-aiplatform read it in whatever the user's locale says.
        """
        if self.target is Target.VERTEX:
            text = json.dumps(self.job, indent=2, sort_keys=True) + "\n"
            # google-cloud-aiplatform reads YAML 1.1, where 1e-05 is text, and 1.0e-05 a number.
            return BARE_EXPONENT.sub(r"\1.0\2", text)
        documents = [self.spec, *([self.platforms] if self.platforms else [])]
        return yaml.dump_all(documents, Dumper=_Dumper, sort_keys=True)


def read_package(path: Path) -> Package:
    """Reads a file that `Package.to_text` made.

    Raises:
      OSError: It cannot be read.
      PackageError: It is not one.
    """
    try:
        text = path.read_text("utf-8")
        if path.suffix in SUFFIXES[Target.VERTEX]:
            return _from_json(text)
        if path.suffix in SUFFIXES[Target.KFP]:
            return _from_yaml(text)
    except UnicodeDecodeError as error:  # its own text holds the whole file
        raise PackageError(f"{path} is not a compiled pipeline: it is not text") from error
    except (*BROKEN, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())[:LONGEST_REASON]
        raise PackageError(f"{path} is not a compiled pipeline: {reason}") from error
    raise PackageError(f"{path} is not a compiled pipeline; compile writes .yaml or .json")


def _from_json(text: str) -> Package:
    if not text.strip():
        raise ValueError("it is empty")
    job = json.loads(text)
    spec = _field(job, "pipelineSpec")
    if not isinstance(spec, dict):
        raise ValueError("it has no pipelineSpec")
    return Package(Target.VERTEX, spec, job=job)


def _from_yaml(text: str) -> Package:
    # Of a string, unlike a stream, PyYAML's messages quote lines, with carets below them.
    documents: list[Any] = list(yaml.safe_load_all(io.StringIO(text)))
    if documents in ([], [None]):
        raise ValueError("it is empty")
    if len(documents) > 2:
        raise ValueError(f"it has {len(documents)} documents, not one or two")
    if not all(isinstance(document, dict) for document in documents):
        raise ValueError("a document of it is no mapping")
    return Package(Target.KFP, *documents)


def _field(value: Any, key: str) -> Any:
    """A field of what may be no mapping; None if there is none."""
    return value.get(key) if isinstance(value, dict) else None


def _mounted(pod: Any) -> set[str]:
    """The folders at which a pod's volumes are mounted, as far as they can be read."""
    volumes = _field(pod, "pvcMount")
    folders = [_field(v, "mountPath") for v in volumes] if isinstance(volumes, list) else []
    return {folder for folder in folders if isinstance(folder, str)}


class _Dumper(yaml.SafeDumper):
    """Writes text so that every YAML reader takes it for text."""


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = None
    if "\n" in text:
        style = "|"
    elif re.match(r"[-+.\d]|[yYnN]$", text):
        # To Go's readers, unlike Python's, a digest such as 12e4567 is a number, y a truth value.
        style = '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent_text)
