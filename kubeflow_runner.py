"""Compiles the pipeline for Kubeflow Pipelines or Vertex AI, and submits what was compiled."""

import dataclasses
import difflib
import os
import re
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import tyro

from cli.ending import fail
from cli.quiet import quiet_tensorflow
from cli.streams import prepare_streams, tell
from cli.whole_file import write_whole
from pipeline import initial_weights
from pipeline.beam_options import beam_pipeline_args
from pipeline.command_line import parse, usage_error
from pipeline.config import Config
from pipeline.kubeflow.arguments import Compile, Server, Submit, Upload, Validate
from pipeline.kubeflow.places import URI_SCHEMES, check_one_store, place, root_place
from pipeline.kubeflow.settings import check_used, with_minio
from pipeline.target import Target
from pipeline.training_config import LAST_BLESSED
from served_model import interface

PRESET = "images"
RUNS_PLACES = ("data", "push_destination")  # parameters of a run that its tasks look at
FAILED = 1  # exit code

# As the OCI's distribution specification has it: host, path, tag, digest.
REFERENCE = re.compile(
    r"([\w.-]+(:[0-9]+)?/)?[a-z0-9]+([._-]+[a-z0-9]+)*(/[a-z0-9]+([._-]+[a-z0-9]+)*)*"
    r"(:\w[\w.-]{0,127})?(@sha256:[0-9a-f]{64})?",
    re.ASCII,
)
# What only Kubernetes' pods have.
PODS_SETTINGS = (
    "secrets",
    "volumes",
    "node_selector",
    "tolerations",
    "shared_memory",
    "image_pull_secret",
)


def main() -> None:
    """The command line: exit code 0 done, 2 wrong usage, 1 anything else."""
    prepare_streams()
    quiet_tensorflow()
    # Keras's backend may be another one in the user's own settings.
    os.environ["KERAS_BACKEND"] = "tensorflow"
    warnings.filterwarnings("ignore", category=FutureWarning)
    command, *argv = sys.argv[1:] or ["--help"]
    commands: dict[str, Callable[[Sequence[str]], None]] = {
        "compile": compile_command,
        "validate": validate_command,
        "submit": submit_command,
        "upload": upload_command,
    }
    if command in ("--help", "-h"):
        tell(f"{__doc__}\n\nusage: kubeflow_runner.py {{{','.join(commands)}}} --help")
        return
    if command not in commands:
        near = difflib.get_close_matches(command, commands, n=1)
        hint = f". Did you mean {near[0]}?" if near else ""
        usage_error(f"{command!r}: no such command; there are {', '.join(commands)}{hint}")
    sys.argv[0] += f" {command}"  # what the usage and the hint at --help call it
    try:
        commands[command](argv)
    except OSError as error:
        fail(f"{error.filename}: {error.strerror}" if error.filename else str(error), FAILED)
    except KeyboardInterrupt:
        fail("interrupted", FAILED)


def compile_command(argv: Sequence[str]) -> None:
    """Writes the compiled pipeline."""
    arguments = parse(Compile, argv, default_preset=PRESET)
    target = Target(arguments.target)
    check(arguments, target)
    paths = places(arguments, target)
    roots = (paths["data"], paths["artifacts"])
    try:
        beam_pipeline_args(arguments.config.beam, arguments.image, roots)
        initial_weights.check(arguments.config, target)
        check_used(arguments.cluster, arguments.config.nodes)
    except ValueError as error:
        usage_error(str(error))
    from pipeline.kubeflow.checks import faults
    from pipeline.kubeflow.compiler import compile_pipeline  # imports TensorFlow
    from pipeline.pipeline import Paths

    # What lies below the pipeline root the launcher fetches, with an address and keys of its own.
    weights = arguments.config.model.weights or ""
    own_places = (paths["data"], paths["serving"], paths["checkpoints"], weights)
    cluster = with_minio(arguments.cluster, own_places)
    package = compile_pipeline(arguments.config, Paths(**paths), target, arguments.image, cluster)
    if found := faults(package):
        fail("the pipeline cannot be carried out:\n  " + "\n  ".join(found), FAILED)
    try:
        write_whole(arguments.output, package.to_text())
    except OSError as error:
        fail(f"--output {arguments.output}: {error.strerror}", FAILED)
    tell(f"wrote {arguments.output}")


def check(arguments: Compile, target: Target) -> None:
    """Exits with a usage error if a flag is missing, or is not for `target`; see also `places`."""
    if not arguments.image:
        usage_error("--image is missing: the container that every component runs in")
    if not REFERENCE.fullmatch(arguments.image):
        usage_error(
            f"--image {arguments.image!r}: is no image's name, e.g. HOST/fishnet@sha256:… with 64 "
            "digits, in lower case"
        )
    if "@" not in arguments.image and not arguments.allow_tag:
        usage_error(
            f"--image {arguments.image}: give it by its digest, NAME@sha256:…: what a tag stands "
            "for may change between two tasks of a run. --allow-tag takes it all the same"
        )
    suffix = ".json" if target is Target.VERTEX else ".yaml"
    if arguments.output.suffix != suffix:
        usage_error(f"--output {arguments.output}: for {target.value} it must end in {suffix}")
    if not arguments.output.parent.is_dir():
        usage_error(f"--output {arguments.output}: there is no folder {arguments.output.parent}")
    if arguments.output.is_dir():
        usage_error(f"--output {arguments.output}: is a folder")
    given = [name for name in PODS_SETTINGS if getattr(arguments.cluster, name)]
    if target is Target.VERTEX and given:
        usage_error(
            f"--cluster.{given[0]}: not on Vertex AI, which has no pods to set. Its tasks reach "
            "buckets at /gcs/BUCKET/… and by --service-account of submit"
        )
    accelerator = arguments.cluster.accelerator
    if accelerator and ("/" in accelerator) is (target is Target.VERTEX):
        kind = "one as NVIDIA_TESLA_T4" if target is Target.VERTEX else "one as nvidia.com/gpu"
        usage_error(f"--cluster.accelerator {accelerator}: {target.value} takes {kind}")


def places(arguments: Compile, target: Target) -> dict[str, str]:
    """The fields of the pipeline's Paths; exits with a usage error where the cluster sees none."""
    if not arguments.pipeline_root:
        usage_error("--pipeline-root is missing: the URI below which the runs write")
    root = root_place(arguments.pipeline_root, target)
    mounted = tuple(volume.path for volume in arguments.cluster.parsed_volumes())
    fuse = ("/gcs",) if target is Target.VERTEX else ()
    schemes = URI_SCHEMES[target]
    destination = place("--push-destination", arguments.push_destination, schemes, mounted)
    found = {
        "data": place("--data", arguments.data, schemes, mounted) or f"{root}/data",
        "artifacts": root,
        "serving": destination or f"{root}/serving/{interface.MODEL_NAME}",
        "checkpoints": place("--checkpoints", arguments.checkpoints, schemes, mounted + fuse),
    }
    theirs = {
        "--data": found["data"],
        "--push-destination": found["serving"],
        "--checkpoints": found["checkpoints"],
    }
    weights = arguments.config.model.weights
    if weights and weights != LAST_BLESSED:
        theirs["--model.weights"] = place("--model.weights", weights, schemes, mounted + fuse)
    for flag, folder in theirs.items():
        check_one_store(flag, folder, theirs.values())
    return found


def validate_command(argv: Sequence[str]) -> None:
    """Reports whether the file is good."""
    arguments = _parse(Validate, argv)
    _checked(arguments.file)
    tell(f"{arguments.file}: valid")


def submit_command(argv: Sequence[str]) -> None:
    """Starts a run."""
    sections = {field.name for field in dataclasses.fields(Config)} | {"cluster"}
    parameters = ("--trainer.epochs", "--trainer.learning_rate", "--trainer.learning-rate")
    for flag in (arg.split("=")[0] for arg in argv if arg.startswith("--")):
        if "." in flag and flag[2:].split(".")[0] in sections and flag not in parameters:
            usage_error(f"{flag} is fixed when the pipeline is compiled; compile it again with it")
    arguments = _parse(Submit, argv)
    package = _checked(arguments.file)
    given = given_places(arguments, package)
    from pipeline.kubeflow.submission import NewRun, SubmissionError, VertexAI

    if package.target is Target.VERTEX:
        if not (arguments.project and arguments.region):
            usage_error(f"{arguments.file} is for Vertex AI, which needs --project and --region")
        cluster: Any = VertexAI(arguments.project, arguments.region, arguments.service_account)
    else:
        cluster = _server(arguments.server)
    if flag := arguments.not_for(package.target):
        usage_error(f"{flag}: is not for {arguments.file}, compiled for {package.target.value}")
    run = NewRun(
        arguments.file,
        given.pop("pipeline_root", package.default_root),
        {**given, **arguments.trainer.given()},
        arguments.experiment,
        arguments.run_name,
    )
    try:
        started = cluster.submit(run)
    except SubmissionError as error:
        fail(str(error), FAILED)
    tell(f"started {started}")


def given_places(arguments: Submit, package: Any) -> dict[str, str]:
    """The places that are given, by name; exits with a usage error if the cluster sees one not."""
    found: dict[str, str] = {}
    for name in ("pipeline_root", *RUNS_PLACES):
        flag, folder = f"--{name.replace('_', '-')}", getattr(arguments, name)
        if folder is None:
            continue
        if not folder:
            usage_error(f"{flag} is empty; leave it out for what was compiled")
        if name == "pipeline_root":
            found[name] = root_place(folder, package.target)
        else:
            found[name] = place(flag, folder, URI_SCHEMES[package.target], package.mounted)
            check_one_store(flag, found[name], _compiled_places(package))
    return found


def _compiled_places(package: Any) -> list[str]:
    parameters = package.spec["root"].get("inputDefinitions", {}).get("parameters", {})
    return [str(parameters.get(name, {}).get("defaultValue")) for name in RUNS_PLACES]


def upload_command(argv: Sequence[str]) -> None:
    """Keeps the pipeline on the server."""
    arguments = _parse(Upload, argv)
    package = _checked(arguments.file)
    if package.target is Target.VERTEX:
        usage_error(f"{arguments.file} is for Vertex AI, which keeps none; submit it")
    from pipeline.kubeflow.submission import SubmissionError

    try:
        pipeline = _server(arguments.server).upload(
            arguments.file, arguments.name, arguments.version
        )
    except SubmissionError as error:
        fail(str(error), FAILED)
    tell(f"kept as {arguments.name}, version {arguments.version}, id {pipeline}")


def _parse(arguments: Any, argv: Sequence[str]) -> Any:
    try:
        return tyro.cli(arguments, args=list(argv), use_underscores=True)
    except ValueError as error:  # of fields that do not go together; tyro reports single ones
        usage_error(str(error))


def _checked(file: Path) -> Any:
    """Reads a compiled pipeline; exits with 1 if it is none, or its target would not take it."""
    from pipeline.kubeflow.package import PackageError, read_package

    try:
        package = read_package(file)
    except PackageError as error:
        fail(str(error), FAILED)
    from pipeline.kubeflow.checks import faults  # imports kfp

    if found := faults(package):
        fail(f"{file} cannot be carried out:\n  " + "\n  ".join(found), FAILED)
    return package


def _server(server: Server) -> Any:
    from pipeline.kubeflow.submission import KubeflowServer

    if not server.host:
        usage_error("--host is missing: the URL of Kubeflow Pipelines, e.g. http://localhost:8080")
    if not re.fullmatch(r"https?://[^/\s]\S*", server.host):
        usage_error(f"--host {server.host!r}: must be a URL, e.g. http://localhost:8080")
    token = ""
    if server.token_file:
        token = server.token_file.read_text("ascii", errors="replace").strip()
        if not re.fullmatch(r"[!-~]+", token):
            usage_error(f"--token-file {server.token_file}: holds no token, which is one word")
    return KubeflowServer(server.host, server.namespace, token)


if __name__ == "__main__":
    main()
