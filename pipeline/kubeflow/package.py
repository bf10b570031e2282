"""The compiled pipeline's file: YAML for Kubeflow Pipelines, JSON for Vertex AI."""

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import yaml

from pipeline.target import Target

SUFFIXES = {Target.KFP: (".yaml", ".yml"), Target.VERTEX: (".json",)}
# A line of JSON, with or without a key, whose value is a number with an exponent and no point.
BARE_EXPONENT = re.compile(r"""^( *(?:"(?:[^"\\]|\\.)*": )?-?\d)(e[-+]\d+,?)$""", re.MULTILINE)


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
        kubernetes = self.platforms.get("platforms", {}).get("kubernetes", {})
        pods = kubernetes.get("deploymentSpec", {}).get("executors", {}).values()
        folders = [{v["mountPath"] for v in pod.get("pvcMount", [])} for pod in pods]
        return tuple(sorted(set.intersection(*folders))) if folders else ()

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
            job = json.loads(text)
            if isinstance(job["pipelineSpec"], dict):
                return Package(Target.VERTEX, job["pipelineSpec"], job=job)
        if path.suffix in SUFFIXES[Target.KFP]:
            documents: list[Any] = list(yaml.safe_load_all(text))
            if len(documents) in (1, 2) and all(isinstance(d, dict) for d in documents):
                return Package(Target.KFP, *documents)
    except (ValueError, KeyError, TypeError, RecursionError, yaml.YAMLError) as error:
        raise PackageError(f"{path} is not a compiled pipeline: {error!r}") from error
    raise PackageError(f"{path} is not a compiled pipeline; compile writes .yaml or .json")


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
