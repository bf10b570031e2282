"""The flags of `kubeflow_runner.py`, a dataclass for each command."""

import dataclasses
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from pipeline.command_line import RunnerArguments
from pipeline.kubeflow.settings import ClusterConfig
from pipeline.target import Target
from pipeline.training_config import TrainerConfig

Uri = Annotated[str, tyro.conf.arg(metavar="URI")]
File = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="FILE")]


@dataclasses.dataclass(frozen=True)
class Compile(RunnerArguments):
    """Compile the pipeline into a file. Needs no network and no credentials.

    The data set's folder, the push destination, --trainer.epochs and --trainer.learning_rate are
    parameters of each run; what is given here are their defaults.
    """

    image: str = ""
    """Of the container that every component runs in, by digest: NAME@sha256:…"""
    pipeline_root: Uri = ""
    """Below it the runs write: minio://, s3:// or gs://; for Vertex AI gs://"""
    output: Path = Path("pipeline.yaml")
    """The file to write."""
    target: Literal["kfp", "vertex"] = "kfp"
    """Kubeflow Pipelines (a .yaml file) or Vertex AI (.json)."""
    data: Uri = ""
    """The data set's folder. Default: data, below the pipeline root."""
    push_destination: Uri = ""
    """The folder of versions that TF Serving polls. Default: serving/fishnet, below the root."""
    checkpoints: Uri = ""
    """A folder, in an object store or on a volume of --cluster.volumes, where an interrupted
    training or search is taken up again; without it a Trainer or Tuner that is started again begins
    anew."""
    cluster: ClusterConfig = dataclasses.field(default_factory=ClusterConfig)
    allow_tag: tyro.conf.FlagCreatePairsOff[bool] = False
    """Take an image by its tag, although it may be another one tomorrow."""


@dataclasses.dataclass(frozen=True)
class Validate:
    """Check whether a compiled pipeline is one that its target carries out.

    Exit code: 0 it is, 1 it is not.
    """

    file: File = Path("pipeline.yaml")
    """The compiled pipeline."""


@dataclasses.dataclass(frozen=True)
class Server:
    """Kubeflow Pipelines."""

    host: str = ""
    """URL of its API, e.g. http://localhost:8080"""
    namespace: str = ""
    """Of yours, where it has several users."""
    token_file: Path | None = None
    """File with a bearer token, where it wants one."""


@dataclasses.dataclass(frozen=True)
class TrainerParameters:
    """The Trainer's numbers that are parameters of a run."""

    epochs: int | None = None
    """Passes over the training split."""
    learning_rate: float | None = None
    """Peak."""

    def __post_init__(self) -> None:
        TrainerConfig(**self.given())  # which knows what is legal

    def given(self) -> dict[str, Any]:
        """The numbers that are given, by name."""
        return {name: value for name, value in vars(self).items() if value is not None}


@dataclasses.dataclass(frozen=True)
class Submit:
    """Start a run of a compiled pipeline. What is not given has the default that was compiled.

    Kubeflow Pipelines needs --host; Vertex AI --project and --region.
    """

    file: File = Path("pipeline.yaml")
    """The compiled pipeline."""
    server: Annotated[Server, tyro.conf.arg(name="")] = Server()
    experiment: str = "fishnet"
    """Under which the run is kept."""
    run_name: str | None = None
    """Default: one that tells the time."""
    data: Annotated[str | None, tyro.conf.arg(metavar="URI")] = None
    """The data set's folder."""
    push_destination: Annotated[str | None, tyro.conf.arg(metavar="URI")] = None
    """The folder of versions that TF Serving polls."""
    trainer: TrainerParameters = TrainerParameters()
    pipeline_root: Annotated[str | None, tyro.conf.arg(metavar="URI")] = None
    """Below it the run writes."""
    project: str = ""
    """Vertex AI: the Google Cloud project."""
    region: str = ""
    """Vertex AI: e.g. europe-west4."""
    service_account: str = ""
    """Vertex AI: in whose name the tasks run."""

    def __post_init__(self) -> None:
        _require_text("experiment", self.experiment)

    def not_for(self, target: Target) -> str:
        """A flag that is given, and that `target` has no use for; empty if there is none."""
        names = ("project", "region", "service_account")
        vertex_ais = {name: getattr(self, name) for name in names}
        others = vertex_ais if target is Target.KFP else vars(self.server)
        given = [name for name, value in others.items() if value]
        return f"--{given[0].replace('_', '-')}" if given else ""


@dataclasses.dataclass(frozen=True)
class Upload:
    """Keep a compiled pipeline on the server of Kubeflow Pipelines, to be run from its pages."""

    version: str
    """The version's name, e.g. the commit."""
    file: File = Path("pipeline.yaml")
    """The compiled pipeline."""
    server: Annotated[Server, tyro.conf.arg(name="")] = Server()
    name: str = "fishnet"
    """Under which it is kept; if it is there already, a version is added."""

    def __post_init__(self) -> None:
        _require_text("version", self.version)
        _require_text("name", self.name)


def _require_text(flag: str, text: str) -> None:
    if not text.strip():  # the server would take a name of its own in its place
        raise ValueError(f"--{flag} is empty")
