"""Writes the shards of a plan with Apache Beam: on this machine's cores, or on a cluster.

An element of the Beam pipeline is a shard. Which images it gets stands in a file of the plan, and
a worker reads them from the source one by one. So no image travels between workers, the shards
are the same however many workers there are, and memory does not grow with the data.
"""

import json
import re
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict
from typing import Any, NamedTuple

import apache_beam as beam
import numpy as np
from apache_beam.options.pipeline_options import PipelineOptions

from cli.ending import refusals_raised
from dataprep.collection import Collection, LabelledImage, Unusable
from dataprep.errors import PreparationError, UsageError
from dataprep.flags import Job
from dataprep.jpeg import MAX_BYTES, UnusableError, read_image
from dataprep.shards import ShardFacts, ShardWriter
from dataprep.storage import create_file, delete_folder, file_sizes, open_file
from dataprep.terminal import quiet, showing, watching
from dataset import record
from dataset.example import Example

PLAN = ".plan"  # folder, beside the splits' own, of the plan and the workers' report
REPORT = f"{PLAN}/report.json"

FEATURES_BYTES = 250  # of a record, beside the image, or about that
BEAMS = re.compile(r"^RuntimeError: | \[while running '[^']*'\]$")  # Beam's additions


class Written(NamedTuple):
    """What came of writing shards."""

    shards: dict[str, ShardFacts]  # by the shard's name, in the plan's order
    unusable: list[Unusable]  # by their paths
    doubtful: dict[str, str]  # path of an image that was taken → what speaks against it


def write_shards(
    folder: str, collection: Collection, plan: Mapping[str, np.ndarray], job: Job
) -> Written:
    """Writes shards.

    Args:
        folder: The data set's.
        collection: The images.
        plan: Shard's name → its rows of the collection, in order.
        job: What is to be made.

    Raises:
        UsageError: Beam does not take its flags.
        PreparationError: It failed; the message names the log.
    """
    options = _options(job.making.beam.flags(len(collection.rows)))
    _write_plan(folder, collection, plan)
    job.source.prepare(f"{folder}/{PLAN}")
    number = sum(map(len, plan.values()))
    with showing("Writing", number, "images") as tell, _watching(folder, plan, tell):
        _run(list(plan), WriteShard(folder, job, collection.synsets), options)
    with open_file(f"{folder}/{REPORT}") as file:
        told = {shard["name"]: shard for shard in json.load(file)}
    delete_folder(f"{folder}/{PLAN}")
    facts = {name: ShardFacts(**told[name]["facts"]) for name in plan}
    unusable = [Unusable(**image) for shard in told.values() for image in shard["unusable"]]
    doubtful = [item for shard in told.values() for item in shard["doubtful"].items()]
    return Written(facts, sorted(unusable, key=lambda image: image.file), dict(sorted(doubtful)))


def _write_plan(folder: str, collection: Collection, plan: Mapping[str, np.ndarray]) -> None:
    for name, rows in plan.items():
        with create_file(f"{folder}/{PLAN}/{name}") as file:
            file.writelines(map(collection.line, rows))


def _watching(
    folder: str, plan: Mapping[str, np.ndarray], tell: Callable[[float], None]
) -> AbstractContextManager[None]:
    """Reports, meanwhile, how many images the shards' sizes come to."""
    number = sum(map(len, plan.values()))
    expected = number * FEATURES_BYTES + sum(int(rows["size"].sum()) for rows in plan.values())

    def look() -> None:
        sizes = file_sizes(folder)
        tell(number * sum(sizes.get(name, 0) for name in plan) / max(expected, 1))

    return watching(look)


def _options(flags: Sequence[str]) -> PipelineOptions:
    """Beam's options of flags, which it would read in the midst of the work otherwise."""
    with refusals_raised(UsageError, "--beam.args"):
        options = PipelineOptions(list(flags))
        options.get_all_options()  # reads the flags
    return options


def _run(shards: Sequence[str], write: "WriteShard", options: PipelineOptions) -> None:
    with quiet() as log:
        try:
            with beam.Pipeline(options=options) as pipeline:
                (
                    pipeline
                    | "Shards" >> beam.Create(shards)
                    | "Write" >> beam.ParDo(write)
                    | "Collect" >> beam.combiners.ToList()
                    | "Report" >> beam.Map(_write_report, write.folder)
                )
        except Exception as error:  # whatever a worker's was, Beam has made text of it
            *_, last = str(error).strip().splitlines() or [type(error).__name__]
            reason = BEAMS.sub("", last)
            if reason.startswith(KeyboardInterrupt.__name__):
                raise KeyboardInterrupt from error
            traceback.print_exc()
            raise PreparationError(
                f"the data set was not written: {reason}\nDetails: {log}"
            ) from error


def _write_report(shards: Sequence[Mapping[str, Any]], folder: str) -> None:
    with create_file(f"{folder}/{REPORT}") as file:
        file.write(json.dumps(shards).encode())


class WriteShard(beam.DoFn):
    """Writes a shard, given by its name; yields its facts and the images that were unusable."""

    def __init__(self, folder: str, job: Job, synsets: Sequence[str]) -> None:
        self.folder = folder
        self._job = job
        self._labels = {synset: label for label, synset in enumerate(synsets, record.LABEL_BASE)}

    def setup(self) -> None:
        """Called by Beam, once in each worker."""
        self._source = self._job.source.open(f"{self.folder}/{PLAN}")

    def teardown(self) -> None:
        """Called by Beam at the worker's end."""
        self._source.close()

    def process(self, name: str) -> Iterator[dict[str, Any]]:
        """Called by Beam for each shard."""
        unusable, doubtful = [], {}
        with (
            open_file(f"{self.folder}/{PLAN}/{name}") as plan,
            ShardWriter(f"{self.folder}/{name}") as writer,
        ):
            for image in map(LabelledImage.from_line, plan):
                try:
                    example, doubt = self._example(image)
                    writer.write(example)
                    if doubt:
                        doubtful[image.entry.path] = doubt
                except UnusableError as error:
                    unusable.append(Unusable(image.key, image.synset, image.entry.path, str(error)))
        yield {
            "name": name,
            "facts": asdict(writer.facts),
            "unusable": [asdict(image) for image in unusable],
            "doubtful": doubtful,
        }

    def _example(self, image: LabelledImage) -> tuple[Example, str]:
        """The record of an image; and what speaks against it, if something does."""
        entry = image.entry
        if max(entry.size, entry.packed) > MAX_BYTES:
            raise UnusableError(f"too large: {entry.size:,} bytes; the most is {MAX_BYTES:,}")
        jpeg = read_image(self._source.read(entry), self._job.making.max_pixels)
        grey = jpeg.channels == 1 and not self._job.always_rgb
        example = Example(
            encoded=jpeg.encoded,
            label=self._labels[image.synset],
            synset=image.synset,
            filename=image.filename,
            format="JPEG",
            height=jpeg.height,
            width=jpeg.width,
            colorspace="Grayscale" if grey else "RGB",
        )
        return example, jpeg.doubt
