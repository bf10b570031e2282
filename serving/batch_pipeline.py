"""Batch prediction as a Beam pipeline: a folder of images → one file of JSON lines."""

import contextlib
import functools
import glob
import shutil
import uuid
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import apache_beam as beam
from apache_beam.io.filesystem import BeamIOError, CompressionTypes, FileMetadata
from apache_beam.io.filesystems import FileSystems
from apache_beam.metrics import Metrics
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.transforms.window import GlobalWindows
from apache_beam.utils.shared import Shared
from apache_beam.utils.windowed_value import WindowedValue

from dataset.image_files import SUFFIXES, is_image, is_junk, walk
from serving import images
from serving.answer import Answer, Refusal, json_line
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
    """Classifies the images below the folder `source` into the file `output`.

    Nothing is at `output` before all is written. Paths may be of any file system that Beam knows.

    Args:
        source: Folder; its images are taken as `dataset.image_files` has it, at any depth.
        model: Folder of a pushed version.
        output: File to write: for each image the line `serving.answer.json_line`, whose `file` is
            the path below `source`; in no certain order.
        batch_size: Images that the model is given at once.
        max_pixels: Greatest width × height of an image that is classified.
        beam_args: Beam's own flags.

    Raises:
        FolderError: `source` is a folder on this machine that cannot be read as a whole.
        NoImagesError: There are none below `source`.
    """
    source = source.rstrip("/")
    if _is_local(source):
        for _ in walk(Path(source)):  # what is wrong there would be a traceback in the pipeline
            pass
    shards = f"{output}.{uuid.uuid4().hex[:8]}.tmp"
    pipeline = beam.Pipeline(options=PipelineOptions(list(beam_args)))
    _ = (
        pipeline
        | "Source" >> beam.Create([source])
        | "Find" >> beam.FlatMap(find)
        | "Spread" >> beam.Reshuffle()
        | "Classify" >> beam.ParDo(Classify(source, model, batch_size, max_pixels))
        | "Write" >> beam.io.WriteToText(f"{shards}/part")
    )
    try:
        result = pipeline.run()
        result.wait_until_finish()
        counters = result.metrics().query()["counters"]
        counted = Counter({found.key.metric.name: found.committed for found in counters})
        if not counted[IMAGES]:
            raise NoImagesError(f"{source}: no {', '.join(SUFFIXES)} file below it")
        _join(shards, output)
    finally:
        _remove(shards)
    return Totals(counted[IMAGES], counted[REFUSED])


def find(source: str) -> Iterator[FileMetadata]:
    """The images below the folder `source`, which has no slash at its end."""
    if _is_local(source):
        files = (FileMetadata(f"{source}/{path}", size) for path, size in walk(Path(source)))
    else:
        [found] = FileSystems.match([f"{glob.escape(source)}/**"])
        files = iter(found.metadata_list)
    for file in files:
        path = file.path.removeprefix(f"{source}/")
        if is_image(path) and not is_junk(path):
            yield file


class Classify(beam.DoFn):
    """Image files → lines of JSON.

    Args:
        source: The folder below which the files lie, without a slash at its end.
        model: Folder of a pushed version.
        batch_size: Images that the model is given at once.
        max_pixels: Greatest width × height of an image that is classified.
    """

    def __init__(self, source: str, model: str, batch_size: int, max_pixels: int) -> None:
        self._source = f"{source}/"
        self._folder = model
        self._batch_size = batch_size
        self._read = functools.partial(read, max_pixels=max_pixels)
        self._shared = Shared()
        self._images = Metrics.counter(type(self), IMAGES)
        self._refused = Metrics.counter(type(self), REFUSED)

    def setup(self) -> None:
        """Loads the model, once for all threads of a worker's process."""
        self._model = self._shared.acquire(lambda: SavedModel(self._folder), tag=self._folder)
        self._threads = ThreadPoolExecutor(THREADS)

    def start_bundle(self) -> None:
        """Starts with an empty batch."""
        self._batch: list[FileMetadata] = []
        self._begun: deque[Future[list[tuple[str, Answer]]]] = deque()

    def process(self, file: FileMetadata) -> Iterator[str]:
        """Adds a file to the batch; gives the lines of a batch that was full before."""
        self._batch.append(file)
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
        return (json_line(name, answer) for name, answer in answered)

    def _answer(self, files: Sequence[FileMetadata]) -> list[tuple[str, Answer]]:
        """The files' names and answers, in their order."""
        names = [file.path.removeprefix(self._source) for file in files]
        answers = images.answer_files(files, self._read, self._model.classify)
        return list(zip(names, answers, strict=True))


def read(file: FileMetadata, max_pixels: int) -> bytes:
    """The content of the image `file`; raises ImageError as `serving.images.read`."""
    images.check_size(file.size_in_bytes)
    try:
        with FileSystems.open(file.path, compression_type=CompressionTypes.UNCOMPRESSED) as opened:
            content = opened.read()
    except (FileNotFoundError, PermissionError) as error:  # others may pass: Beam tries again
        raise images.ImageError(f"cannot be read: {error.strerror}") from error
    images.check(content, max_pixels)
    return content


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
    if _is_local(folder):  # delete() would take the path for a pattern
        shutil.rmtree(folder, ignore_errors=True)
    else:
        with contextlib.suppress(BeamIOError):  # it is not there: nothing was written
            FileSystems.delete([f"{folder}/"])


def _is_local(path: str) -> bool:
    return FileSystems.get_scheme(path) is None
