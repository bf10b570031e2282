"""What the commands that write images have in common; Beam itself is not imported here."""

import math
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

from cli.beam_runners import RUNNERS, Runner
from dataprep.errors import UsageError
from dataprep.storage import is_known, is_remote
from dataset import record

if TYPE_CHECKING:  # import numpy and Pillow, for which --help does not wait
    from dataprep.collection import Unusable
    from dataprep.source import Opener

# Images that one process writes in the 5 s which worker processes take to start.
WORTH_WORKERS = 50_000

SHARD_IMAGES = 1_000  # in a shard, or fewer, as in ImageNet's 1,024 shards

MOST_SHARDS = 99_999  # of a split: their numbers have five digits in the files' names


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
        source: What workers open to read the images.
        shards: Split → number of shards.
        command: The command line, without source and output, that makes the same data set.
        making: The other flags.
        always_rgb: Whether each record says RGB, 3 channels, as the ImageNet conversion tool writes
            of grey images too.
        left_out: What is no part of the collection, since it has no image or no class.
    """

    source: "Opener"
    shards: Mapping[str, int]
    command: str
    making: Making
    always_rgb: bool = False
    left_out: "Sequence[Unusable]" = ()


def check_shards(shards: Mapping[str, int | None]) -> None:
    """Raises `UsageError` unless each split, by its name, can have so many; None leaves it open."""
    for split, number in shards.items():
        if number is not None and not 1 <= number <= MOST_SHARDS:
            raise UsageError(
                f"--{split}-shards must be between 1 and {MOST_SHARDS:,}. Received: {number:,}"
            )


def check_val_share(share: float) -> None:
    """Raises `UsageError` unless a share of a class can be split off."""
    if not 0 < share < 1:
        raise UsageError(f"--val-share must be between 0 and 1. Received: {share}")


def check_place(flag: str, place: str) -> None:
    """Raises `UsageError` unless the flag's value can be a place, on this machine or elsewhere."""
    if not place:
        raise UsageError(f"{flag} is empty")
    if is_remote(place) and not is_known(place):
        raise UsageError(
            f"{flag} {place}: of addresses those on object stores are known, such as gs://…. Give "
            "that, or a place on this machine"
        )


def check_making(making: Making, source: str | None) -> None:
    """Raises `UsageError` where a flag is wrong, or the output lies inside the source."""
    if not 0 <= making.seed < 2**32:
        raise UsageError(f"--seed must be between 0 and 2³² − 1. Received: {making.seed}")
    if not 0 <= making.max_left_out < 1:
        raise UsageError(f"--max-left-out must be in [0, 1). Received: {making.max_left_out}")
    if making.max_pixels < 1:
        raise UsageError(f"--max-pixels must be 1 or more. Received: {making.max_pixels}")
    check_place("--output", making.output)
    if source is not None:
        check_place("--source", source)
    if source is None or is_remote(source) or is_remote(making.output):
        return
    if Path(making.output).resolve().is_relative_to(Path(source).resolve()):
        raise UsageError(f"--output {making.output} lies inside --source {source}. Move it out")


def chosen_shards(asked: Mapping[str, int | None], images: Mapping[str, int]) -> dict[str, int]:
    """Split → number of shards: the one asked for or, where that is None, enough for its images."""
    needed = {split: math.ceil(images[split] / SHARD_IMAGES) for split in asked}
    enough = {split: min(max(number, 1), MOST_SHARDS) for split, number in needed.items()}
    return {split: number or enough[split] for split, number in asked.items()}


def same_again(shards: Mapping[str, int], making: Making) -> str:
    """The flags that, besides the source, say what a data set is."""
    counts = " ".join(f"--{split}-shards {number}" for split, number in shards.items())
    changed = making.max_pixels != record.MAX_PIXELS
    pixels = f" --max-pixels {making.max_pixels}" if changed else ""
    return f"--seed {making.seed} {counts}{pixels}"
