"""Beam's flags: config → what Beam is given, with all that an engine needs checked beforehand.

Beam itself passes over a flag that it does not know, and reports a missing one only when the first
component runs. docs/beam.md says what each flag is for.
"""

import difflib
import shlex
import sys
import warnings
from collections.abc import Mapping, Sequence

from cli.beam_runners import RUNNERS
from cli.ending import refusals_raised
from pipeline.config import BeamConfig

# Flags without which nothing runs there, with a value as an example of what to type.
IMAGE = "registry/fishnet:0.1.0"
DATAFLOW = {
    "project": "my-project",
    "region": "europe-west4",
    "temp_location": "gs://bucket/tmp",
    "sdk_container_image": IMAGE,
}
MASTERS = {
    "flink": {"flink_master": "http://flink-rest:8081"},
    "spark": {"spark_rest_url": "http://spark-master:6066"},
}
# How a cluster's machines start Python: the types of environment, and an example of the config.
ENVIRONMENTS = {
    "EXTERNAL": "localhost:50000",
    "PROCESS": '{"command": "/opt/apache/beam/boot"}',
    "DOCKER": IMAGE,
}

# In an image's place. Without one TFX takes it that the workers lack TFX, and packs itself anew for
# each component (1.2 s), for them to install.
WORKERS_HAVE_TFX = "workers-have-tfx"


def beam_pipeline_args(config: BeamConfig, image: str = "", roots: Sequence[str] = ()) -> list[str]:
    """Beam's flags for all components.

    Args:
      config: The engine, and flags for it.
      image: The workers' container image, unless a flag names one; on Kubeflow the task's own.
      roots: Folders and URIs that the components read and write, which the workers must reach.

    Raises:
      ValueError: The engine needs something else; the message says what to type.
    """
    given = _read(config.args)
    _check_names(config, given)
    if config.runner == "local":
        _check_startable(given)
        added = {"sdk_container_image": WORKERS_HAVE_TFX}
    elif config.runner == "dataflow":
        added = {"sdk_container_image": image}
        _require(config.runner, {**added, **given}, DATAFLOW)
        _check_roots(config, [given["temp_location"], *roots])
    else:
        added = _cluster(config.runner, given, image)
        _check_roots(config, roots)
    new = [_flag(name, value) for name, value in added.items() if name not in given]
    return [f"--runner={RUNNERS[config.runner]}", *config.args, *new]


def _cluster(runner: str, given: Mapping[str, str], image: str) -> dict[str, str]:
    """What Flink or Spark needs beside the flags `given`."""
    image = given.get("sdk_container_image", image)
    added = {"sdk_container_image": image or WORKERS_HAVE_TFX}
    if not given.get("job_endpoint"):
        _require(runner, given, MASTERS[runner])
        # Beam would start a job server on this machine otherwise, in Java.
        added[f"{runner}_submit_uber_jar"] = ""
    environment = given.get("environment_type", "EXTERNAL")
    if environment not in ENVIRONMENTS:
        raise ValueError(
            f"--environment_type must be one of {', '.join(ENVIRONMENTS)}. Received: {environment}"
        )
    if environment == "DOCKER" and image:
        # These engines take no notice of sdk_container_image, and would run Beam's own image.
        added["environment_config"] = image
    needed = {"environment_type": environment, "environment_config": ENVIRONMENTS[environment]}
    _require(runner, {**added, **given}, needed)
    return added


def _read(args: Sequence[str]) -> dict[str, str]:
    """The values of the flags `args` by name; "" of one that has none."""
    values = {}
    for arg in args:
        name, _, value = arg.removeprefix("--").partition("=")
        if not arg.startswith("--") or not name:
            example = "--beam.args=--region=europe-west4"
            raise ValueError(f"`beam.args` must be as in {example}. Received: {arg!r}")
        if name == "runner":
            raise ValueError(f"give --beam.runner, one of {', '.join(RUNNERS)}, in place of {arg}")
        values[name] = value
    return values


def _check_names(config: BeamConfig, given: Mapping[str, str]) -> None:
    """Raises ValueError for a flag that Beam does not know, or whose value it does not take."""
    if not given or config.runner in MASTERS:  # whose job servers know more flags
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of Google's libraries, on Python 3.10
        from apache_beam.options.pipeline_options import PipelineOptions

    known = set(PipelineOptions([]).get_all_options())
    with refusals_raised(ValueError, "`beam.args`"):
        parsed = PipelineOptions(list(config.args)).get_all_options(retain_unknown_options=True)
    for name in sorted(set(parsed) - known):
        near = difflib.get_close_matches(name, known, n=1)
        hint = f" Did you mean --{near[0]}?" if near else ""
        raise ValueError(f"Beam knows no flag --{name}.{hint}")


def _check_startable(given: Mapping[str, str]) -> None:
    """Raises ValueError where Beam would wait for ever for workers that do not start."""
    if given.get("direct_running_mode") == "multi_processing" and " " in sys.executable:
        raise ValueError(
            f"Beam cannot start worker processes with {sys.executable}, whose path has a space. "
            "Set up the project in another folder, or leave out direct_running_mode"
        )


def _check_roots(config: BeamConfig, roots: Sequence[str]) -> None:
    """Raises ValueError for one of `roots` that the workers cannot reach."""
    may_share = config.runner in MASTERS
    for root in roots:
        if root.startswith("gs://") or ("://" not in root and may_share and config.shared_folders):
            continue
        hint = ", or a folder that they see too, with --beam.shared_folders True"
        raise ValueError(
            f"{root}: cannot be read by the workers of --beam.runner {config.runner}; "
            f"give gs://…{hint if may_share else ''}"
        )


def _require(runner: str, given: Mapping[str, str], examples: Mapping[str, str]) -> None:
    """Raises ValueError unless `given` has a value for each of `examples`."""
    missing = {name: example for name, example in examples.items() if not given.get(name)}
    if missing:
        flags = [f"--beam.args={shlex.quote(_flag(*pair))}" for pair in missing.items()]
        raise ValueError(f"--beam.runner {runner} needs more, such as {' '.join(flags)}")


def _flag(name: str, value: str) -> str:
    return f"--{name}={value}" if value else f"--{name}"
