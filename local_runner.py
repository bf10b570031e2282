"""Runs the pipeline on this machine: command line → config → run → verdict and exit code."""

import contextlib
import dataclasses
import datetime
import gc
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro
from rich.console import Console

from cli.ending import QuickEnd, fail
from cli.streams import prepare_streams
from components.report.verdict import Verdict
from pipeline import initial_weights
from pipeline.beam_options import beam_pipeline_args
from pipeline.command_line import RunnerArguments, parse, usage_error
from pipeline.nodes import TUNER
from pipeline.output_lock import lock
from pipeline.run_record import has_record
from pipeline.target import Target
from pipeline.terminal import screen, working

if TYPE_CHECKING:  # imports TensorFlow, for which --help does not wait
    from pipeline.session import Session

DIGITS = "digits"  # the embedded data set's preset, and its folder's name
IMAGES = "images"  # the preset for other data

INTERRUPTED = "interrupted"

# As text: Path("") is the current folder, which nobody means who gives an unset shell variable.
Folder = Annotated[str | None, tyro.conf.arg(metavar="DIR")]
Node = Annotated[str | None, tyro.conf.arg(metavar="NODE")]


@dataclasses.dataclass(frozen=True)
class Arguments(RunnerArguments):
    """Run the pipeline on this machine: gate the data, train, evaluate, push.

    Without --data the handwritten digits that scikit-learn carries are used, and the preset is
    digits; with it the preset is images. Exit code: 0 pushed or unchanged, 2 wrong usage, 3 not
    blessed, 4 data refused, 5 serving refused, 1 anything else.
    """

    data: Folder = None
    """The data set's folder: train/train-…-of-…, val/val-…-of-…"""
    output: Folder = None
    """Where everything is written. Default: output/ and the data folder's name."""
    from_node: Annotated[Node, tyro.conf.arg(name="from")] = None
    """Start at this node, with what earlier runs left."""
    to_node: Annotated[Node, tyro.conf.arg(name="to")] = None
    """End at this node."""
    dry_run: tyro.conf.FlagCreatePairsOff[bool] = False
    """Print what would be run; write nothing."""

    @property
    def data_folder(self) -> Path:
        """The data set's folder; that of the embedded one unless told otherwise."""
        return Path(self.data) if self.data else Path("data") / DIGITS

    @property
    def output_folder(self) -> Path:
        """The folder for all that the run writes."""
        if self.output:
            return Path(self.output)
        return Path("output") / self.data_folder.resolve().name


def main() -> None:
    """The command line."""
    prepare_streams()
    end = QuickEnd()
    argv = sys.argv[1:]
    has_data = any(arg.split("=")[0] == "--data" for arg in argv)
    arguments = parse(Arguments, argv, default_preset=IMAGES if has_data else DIGITS)
    check(arguments)
    # Keras's backend may be another one in the user's own settings.
    os.environ["KERAS_BACKEND"] = "tensorflow"
    # All nodes share this process, and the one that needs the GPU's memory is the Trainer.
    os.environ["TF_FORCE_GPU_ALLOW_GROWTH"] = "true"
    # By itself TensorFlow uses oneDNN on processors with AVX-512 only; with AVX2 it is faster too.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    try:
        verdict = dry_run(arguments) if arguments.dry_run else run(arguments)
    except ImportError as error:
        hint = "delete .venv, and `make setup` makes it as it is to be"
        fail(f"{error}; {hint}", Verdict.FAILED.exit_code)
    except KeyboardInterrupt:  # before or after the nodes; between them the session reports it
        sys.stderr.write(f"{INTERRUPTED}\n")
        verdict = Verdict.FAILED
    end(verdict.exit_code)


def check(arguments: Arguments) -> None:
    """Exits with a usage error if a flag is empty, or names something that is not there."""
    first, last = arguments.from_node, arguments.to_node
    nodes = arguments.config.nodes
    for flag, text in (
        ("--data", arguments.data),
        ("--output", arguments.output),
        ("--from", first),
        ("--to", last),
    ):
        if text == "":
            usage_error(f"{flag} is empty; give it a value, or leave it out")
    if arguments.data and not arguments.data_folder.is_dir():
        usage_error(f"--data {arguments.data}: no such folder")
    for flag, node in (("--from", first), ("--to", last)):
        if node and node not in nodes:
            hint = "; it takes --tuner.enable True" if node == TUNER else ""
            usage_error(f"{flag} {node}: no such node{hint}; there are {', '.join(nodes)}")
    if first and last and nodes.index(last) < nodes.index(first):
        usage_error(f"--from {first} --to {last}: {last} comes before {first}; nothing would run")
    output = arguments.output_folder.resolve()
    if set("*?[") & set(str(output)):
        usage_error(f"--output {output}: in paths Beam takes *, ? and [ for patterns; give another")
    if first and not has_record(arguments.output_folder):
        usage_error(
            f"--from {first}: {arguments.output_folder} has no earlier run to go on from; "
            "leave --from out"
        )
    roots = (str(arguments.data_folder), str(arguments.output_folder))
    try:
        beam_pipeline_args(arguments.config.beam, roots=roots)
        initial_weights.check(arguments.config, Target.LOCAL)
    except ValueError as error:
        usage_error(str(error))


def dry_run(arguments: Arguments) -> Verdict:
    """Prints what `run` would do."""
    with screen(Path(os.devnull)) as console:
        return start_session(arguments, console).dry_run()


def run(arguments: Arguments) -> Verdict:
    """Runs the pipeline in the output folder."""
    with lock(arguments.output_folder):
        try:
            log = new_log(arguments.output_folder)
            with screen(log) as console:
                return start_session(arguments, console).run(log)
        except OSError as error:  # a full disk, say: not even the summary could be written
            hint = "once that is mended, the same command goes on from here"
            sys.stderr.write(f"error: {arguments.output_folder}: {error}; {hint}\n")
            return Verdict.FAILED


def start_session(arguments: Arguments, console: Console) -> "Session":
    """What runs the pipeline; importing it loads TensorFlow."""
    with working(console, "Loading TensorFlow and TFX"), ctrl_c_ends_at_once(console):
        gc.disable()  # of what is imported nothing is garbage, and looking for it takes seconds
        from pipeline.session import Session

        gc.freeze()
        gc.enable()
    return Session(
        config=arguments.config,
        data=arguments.data_folder,
        embedded_data=arguments.data is None,
        output=arguments.output_folder,
        console=console,
        from_node=arguments.from_node,
        to_node=arguments.to_node,
        command=("python", *sys.argv),
    )


@contextlib.contextmanager
def ctrl_c_ends_at_once(console: Console) -> Iterator[None]:
    """Has Ctrl-C end this process without an exception.

    Of a KeyboardInterrupt nobody hears that comes inside one of the callbacks, and `except:`s, that
    the libraries have at work while they are being imported.
    """

    def end(*_: object) -> None:
        console.print(INTERRUPTED)
        os._exit(Verdict.FAILED.exit_code)

    previous = signal.getsignal(signal.SIGINT)
    if previous is not signal.SIG_IGN:  # as a shell has it for what runs in the background
        signal.signal(signal.SIGINT, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)


def new_log(output: Path) -> Path:
    """A log file for a run that starts now."""
    folder = output / "logs"
    folder.mkdir(exist_ok=True)
    return folder / f"{datetime.datetime.now():%Y%m%d-%H%M%S}.log"


if __name__ == "__main__":
    main()
