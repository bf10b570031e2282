"""What the commands that write images have in common; Beam itself is not imported here."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import tyro

from cli.beam_runners import RUNNERS, Runner
from dataprep.errors import UsageError
from dataprep.storage import is_remote
from dataset import record

# Images that one process writes in the 5 s which worker processes take to start.
WORTH_WORKERS = 50_000


@dataclass(frozen=True)
class Beam:
    """How the data work (Apache Beam) is run."""

    runner: Runner = "local"
    """"local": on this machine; the others on a cluster, with what docs/beam.md names."""
    args: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """Passed to Beam unchanged, e.g. `--beam.args=--region=europe-west4`; may be given again."""

    def flags(self, images: int) -> list[str]:
        """Beam's flags; on this machine a worker a core, if there are images enough for them."""
        flags = [f"--runner={RUNNERS[self.runner]}", *self.args]
        cores = len(os.sched_getaffinity(0))
        told = any(flag.startswith("--direct_") for flag in self.args)
        worth = cores > 1 and images >= WORTH_WORKERS
        # Beam gives the interpreter's path to a shell, without quotes, and waits for ever.
        startable = " " not in sys.executable
        if self.runner == "local" and not told and worth and startable:
            flags += ["--direct_running_mode=multi_processing", f"--direct_num_workers={cores}"]
        return flags


@dataclass(frozen=True)
class Making:
    """How a data set is made."""

    output: str
    """Folder to make, or gs://… Left as it is when it holds this data set already."""
    seed: int = 0
    """Of the images' order."""
    max_left_out: float = 0.001
    """Share of a class's images that may be left out because they cannot be used."""
    max_pixels: int = record.MAX_PIXELS
    """Width × height of the largest image; the pipeline has --data.max_pixels for the same."""
    beam: Beam = Beam()


@dataclass(frozen=True)
class Job:
    """What is to be made of a collection.

    Attributes:
        source: Path of the source.
        shards: Split → number of shards.
        command: The command line, without source and output, that makes the same data set.
        making: The other flags.
        always_rgb: Whether each record says RGB, 3 channels, as the ImageNet conversion tool writes
            of grey images too.
    """

    source: str
    shards: Mapping[str, int]
    command: str
    making: Making
    always_rgb: bool = False


def check_shards(shards: Mapping[str, int | None]) -> None:
    """Raises `UsageError` unless each split, by its name, has a shard; None leaves it open."""
    for split, number in shards.items():
        if number is not None and number < 1:
            raise UsageError(f"--{split}-shards must be 1 or more. Received: {number}")


def check_making(making: Making, source: str | None) -> None:
    """Raises `UsageError` where a flag is wrong, or the output lies inside the source."""
    if not 0 <= making.seed < 2**32:
        raise UsageError(f"--seed must be between 0 and 2³² − 1. Received: {making.seed}")
    if not 0 <= making.max_left_out < 1:
        raise UsageError(f"--max-left-out must be in [0, 1). Received: {making.max_left_out}")
    if making.max_pixels < 1:
        raise UsageError(f"--max-pixels must be 1 or more. Received: {making.max_pixels}")
    if source is None or is_remote(source) or is_remote(making.output):
        return
    if Path(making.output).resolve().is_relative_to(Path(source).resolve()):
        raise UsageError(f"--output {making.output} lies inside --source {source}. Move it out")


def same_again(shards: Mapping[str, int], making: Making) -> str:
    """The flags that, besides the source, say what a data set is."""
    counts = " ".join(f"--{split}-shards {number}" for split, number in shards.items())
    changed = making.max_pixels != record.MAX_PIXELS
    pixels = f" --max-pixels {making.max_pixels}" if changed else ""
    return f"--seed {making.seed} {counts}{pixels}"
