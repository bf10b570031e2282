"""Classifies the images of a folder, or of a data set, with a pushed model, without a server."""

import dataclasses
import sys
import warnings
from pathlib import Path
from typing import Annotated

import tyro

from cli.beam_runners import RUNNERS, Runner
from cli.ending import fail
from cli.quiet import quiet_tensorflow
from cli.streams import prepare_streams
from dataset.errors import DataError
from dataset.image_files import FolderError
from served_model.files import why_no_version
from serving.images import MAX_PIXELS


@dataclasses.dataclass(frozen=True)
class BeamArguments:
    """How the pipeline (Apache Beam) is run."""

    runner: Runner = "local"
    """"local": in this process; the others on a cluster, with what docs/beam.md names."""
    args: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """Passed to Beam unchanged, e.g. `--beam.args=--region=europe-west4`; may be given again."""


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Classify the images of a folder, or of a data set, with a pushed model, without a server.

    Writes a line of JSON for each image: `file`, the path below the folder, with its `classes`
    and `scores`, best first, or with `error`. Of a data set's shards there are also `record`, its
    number in the shard from 0, and what it is: `label` and `class`.

    Exit code: 0 written, 2 wrong usage, 1 anything else.
    """

    source: Annotated[str, tyro.conf.arg(metavar="DIR")]
    """Folder of images, at any depth, of which JPEG and PNG files can be classified; or a data
    set's, whose shards in train/ and val/ are taken and nothing else."""
    model: Annotated[str, tyro.conf.arg(metavar="VERSION")]
    """Folder of a pushed version, e.g. output/digits/serving/fishnet/1795393596."""
    output: Annotated[str, tyro.conf.arg(metavar="FILE")]
    """File to write, e.g. predictions.jsonl. It appears when all is written."""
    batch_size: int = 64
    """Images that the model is given at once."""
    max_pixels: int = MAX_PIXELS
    """Width × height; a larger image is not classified. The default is that of training."""
    beam: BeamArguments = BeamArguments()


def check(arguments: Arguments) -> None:
    """Exits with a usage error if what is to be read is not there, or FILE cannot be written."""
    if arguments.batch_size < 1:
        fail(f"--batch-size must be positive. Received: {arguments.batch_size}", 2)
    for name in ("source", "model", "output"):
        if not getattr(arguments, name):
            fail(f"--{name} is empty", 2)
    if "://" not in arguments.source and not Path(arguments.source).is_dir():
        fail(f"--source {arguments.source}: no such folder", 2)
    problem = "://" not in arguments.model and why_no_version(Path(arguments.model))
    if problem:
        fail(f"--model {arguments.model}: {problem}", 2)
    output = arguments.output
    if output.endswith("/") or Path(output).is_dir():
        example = f"{output.rstrip('/')}/predictions.jsonl"
        fail(f"--output {output}: a folder; give a file, e.g. {example}", 2)


def main() -> None:
    """The command line."""
    prepare_streams()
    arguments = tyro.cli(Arguments, prog="python -m serving.batch")
    check(arguments)
    quiet_tensorflow()
    warnings.filterwarnings("ignore", category=FutureWarning, module="apache_beam")  # "[" in a name
    import tensorflow as tf

    from serving import batch_pipeline

    tf.get_logger().setLevel("ERROR")
    beam_args = [f"--runner={RUNNERS[arguments.beam.runner]}", *arguments.beam.args]
    try:
        totals = batch_pipeline.run(
            arguments.source,
            arguments.model,
            arguments.output,
            arguments.batch_size,
            arguments.max_pixels,
            beam_args,
        )
    except (batch_pipeline.NoImagesError, DataError, FolderError, OSError) as error:
        fail(f"nothing was written: {error}", 1)
    told = f"{totals.images:,} images"
    if totals.refused:
        told += f", {totals.refused:,} of them with an error"
    sys.stdout.write(f"{arguments.output}: {told}\n")


if __name__ == "__main__":
    main()
