"""Batch prediction as a Beam pipeline: images, in files or records → one file of JSON lines."""

import contextlib
import glob
import shutil
import uuid
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import apache_beam as beam
from apache_beam.io.filesystem import BeamIOError, CompressionTypes
from apache_beam.io.filesystems import FileSystems
from apache_beam.metrics import Metrics
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.transforms.window import GlobalWindows
from apache_beam.utils.shared import Shared
from apache_beam.utils.windowed_value import WindowedValue

from dataset.image_files import SUFFIXES, walk
from serving import images
from serving.answer import Answer, Refusal, json_line
from serving.batch_source import (
    Item,
    find_images,
    find_shards,
    is_local,
    read_names,
    read_shard,
)
from serving.saved_model import SavedModel

# A thread reads its batch while another's is in the model, which decodes on one core only.
THREADS = 2

IMAGES, REFUSED = "images", "refused"  # names of the pipeline's counters


class NoImagesError(ValueError):
    """A source has nothing to classify."""


@dataclass(frozen=True)
class Totals:
    """What became of a folder of images.

    Attributes:
        images: Lines written: one for each image.
        refused: Those of them that have an error.
    """

    images: int
    refused: int


def run(
    source: str,
    model: str,
    output: str,
    batch_size: int,
    max_pixels: int,
    beam_args: Sequence[str],
) -> Totals:
    """Classifies the images of the folder `source` into the file `output`.

    Nothing is at `output` before all is written. Paths may be of any file system that Beam knows.

    Args:
        source: Folder of a data set's shards, whose records are taken; or any other, whose images
            are taken as `dataset.image_files` has it, at any depth.
        model: Folder of a pushed version.
        output: File to write: for each image the line `serving.answer.json_line`, whose `file` is
            the path below `source`, with what the record says of its class; in no certain order.
        batch_size: Images that the model is given at once.
        max_pixels: Greatest width × height of an image that is classified.
        beam_args: Beam's own flags.

    Raises:
        FolderError: `source` is a folder on this machine that cannot be read as a whole.
        NoImagesError: There are none.
        DataError: The data set's names of classes cannot be read.
    """
    source = source.rstrip("/")
    shard_names = find_shards(source)
    if not shard_names and is_local(source):
        for _ in walk(Path(source)):  # what is wrong there would be a traceback in the pipeline
            pass
    shards = f"{output}.{uuid.uuid4().hex[:8]}.tmp"
    pipeline = beam.Pipeline(options=PipelineOptions(list(beam_args)))
    items = _records(pipeline, source, shard_names) if shard_names else _images(pipeline, source)
    _ = (
        items
        | "Classify" >> beam.ParDo(Classify(model, batch_size, max_pixels))
        | "Write" >> beam.io.WriteToText(f"{shards}/part")
    )
    try:
        result = pipeline.run()
        result.wait_until_finish()
        counters = result.metrics().query()["counters"]
        counted = Counter({found.key.metric.name: found.committed for found in counters})
        if not counted[IMAGES]:
            wanted = (
                "record in its shards" if shard_names else f"{', '.join(SUFFIXES)} file below it"
            )
            raise NoImagesError(f"{source}: no {wanted}")
        _join(shards, output)
    finally:
        _remove(shards)
    return Totals(counted[IMAGES], counted[REFUSED])


def _images(pipeline: beam.Pipeline, source: str) -> beam.PCollection:
    return (
        pipeline
        | "Source" >> beam.Create([source])
        | "Find" >> beam.FlatMap(find_images)
        | "Spread" >> beam.Reshuffle()
    )


def _records(pipeline: beam.Pipeline, source: str, shard_names: Sequence[str]) -> beam.PCollection:
    names = read_names(source)
    return (
        pipeline
        | "Shards" >> beam.Create(shard_names)
        | "Spread" >> beam.Reshuffle()
        | "Read" >> beam.FlatMap(read_shard, source, names)
    )


class Classify(beam.DoFn):
    """Items → lines of JSON.

    Args:
        model: Folder of a pushed version.
        batch_size: Images that the model is given at once.
        max_pixels: Greatest width × height of an image that is classified.
    """

    def __init__(self, model: str, batch_size: int, max_pixels: int) -> None:
        self._folder = model
        self._batch_size = batch_size
        self._max_pixels = max_pixels
        self._shared = Shared()
        self._images = Metrics.counter(type(self), IMAGES)
        self._refused = Metrics.counter(type(self), REFUSED)

    def setup(self) -> None:
        """Loads the model, once for all threads of a worker's process."""
        self._model = self._shared.acquire(lambda: SavedModel(self._folder), tag=self._folder)
        self._threads = ThreadPoolExecutor(THREADS)

    def start_bundle(self) -> None:
        """Starts with an empty batch."""
        self._batch: list[Item] = []
        self._begun: deque[Future[list[tuple[Item, Answer]]]] = deque()

    def process(self, item: Item) -> Iterator[str]:
        """Adds an item to the batch; gives the lines of a batch that was full before."""
        self._batch.append(item)
        if len(self._batch) == self._batch_size:
            self._begin_batch()
            # Bounds what is in memory, however many files there are.
            if len(self._begun) > THREADS:
                yield from self._end_batch()

    def finish_bundle(self) -> Iterator[WindowedValue]:
        """Gives all lines that are left."""
        self._begin_batch()
        while self._begun:
            yield from map(GlobalWindows.windowed_value, self._end_batch())

    def teardown(self) -> None:
        """Ends the threads."""
        self._threads.shutdown()

    def _begin_batch(self) -> None:
        self._begun.append(self._threads.submit(self._answer, self._batch))
        self._batch = []

    def _end_batch(self) -> Iterator[str]:
        answered = self._begun.popleft().result()
        self._images.inc(len(answered))
        self._refused.inc(sum(isinstance(answer, Refusal) for _, answer in answered))
        return (json_line(item.name, answer, item.known) for item, answer in answered)

    def _answer(self, items: Sequence[Item]) -> list[tuple[Item, Answer]]:
        """The items and their answers, in their order."""
        answers = images.answer_files(
            items, lambda item: item.read(self._max_pixels), self._model.classify
        )
        return list(zip(items, answers, strict=True))


def _join(shards: str, output: str) -> None:
    """Makes of the files in the folder `shards` the file `output`, which appears at once."""
    joined = f"{shards}/joined"
    [found] = FileSystems.match([f"{glob.escape(shards)}/part*"])
    with FileSystems.create(joined, compression_type=CompressionTypes.UNCOMPRESSED) as file:
        for shard in sorted(found.metadata_list, key=lambda metadata: metadata.path):
            with FileSystems.open(shard.path) as part:
                shutil.copyfileobj(part, file)
    FileSystems.rename([joined], [output])


def _remove(folder: str) -> None:
    if is_local(folder):  # delete() would take the path for a pattern
        shutil.rmtree(folder, ignore_errors=True)
    else:
        with contextlib.suppress(BeamIOError):  # it is not there: nothing was written
            FileSystems.delete([f"{folder}/"])
