"""The flags that the runners share: `--preset NAME`, and `--section.field VALUE` for any field.

Nothing of TensorFlow is imported here: `--help` and usage errors answer at once.
"""

import argparse
import dataclasses
import difflib
import sys
from collections.abc import Sequence
from typing import Annotated, NoReturn, TypeVar

import tyro

from pipeline.config import Config
from pipeline.presets import PRESETS


@dataclasses.dataclass(frozen=True)
class RunnerArguments:
    """The flags of every runner; a runner's own dataclass adds to them, all with defaults."""

    # Without a prefix; and a truth value is set like any other, by `True` or `False`.
    config: Annotated[Config, tyro.conf.arg(name=""), tyro.conf.FlagConversionOff]
    preset: Annotated[str, tyro.conf.arg(metavar=f"{{{','.join(PRESETS)}}}")]
    """Defaults for the config's fields."""


ArgumentsT = TypeVar("ArgumentsT", bound=RunnerArguments)


def parse(arguments: type[ArgumentsT], argv: Sequence[str], default_preset: str) -> ArgumentsT:
    """Parses `argv` into the dataclass `arguments`.

    The preset gives the config's defaults, so it is read first, and the other flags on top of it.

    Args:
      arguments: The runner's dataclass of flags.
      argv: The command line, without the program's name.
      default_preset: Used where `argv` has no `--preset`.

    Returns:
      The parsed flags. A usage error is printed to stderr, and the process exits with 2.
    """
    first = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    # Without a value, which tyro reports, it is the default; not so with an empty one.
    first.add_argument("--preset", default=default_preset, const=default_preset, nargs="?")
    preset = first.parse_known_args(argv)[0].preset
    if preset not in PRESETS:
        near = difflib.get_close_matches(preset, PRESETS, n=1)
        hint = f" Did you mean {near[0]}?" if near else ""
        usage_error(f"unknown preset {preset!r}; there are {', '.join(PRESETS)}.{hint}")
    try:
        parsed = tyro.cli(
            arguments,
            args=list(argv),
            default=arguments(config=PRESETS[preset], preset=preset),
            use_underscores=True,
        )
    except ValueError as error:  # of fields that do not go together; tyro reports single ones
        usage_error(str(error))
    search = [arg.split("=")[0] for arg in argv if arg.startswith("--tuner.")]
    if search and not parsed.config.tuner.enable and "--tuner.enable" not in search:
        usage_error(f"{search[0]}: there is no search without --tuner.enable True; add that")
    return parsed


def usage_error(message: str) -> NoReturn:
    """Prints `message` to stderr and exits with 2."""
    sys.stderr.write(f"error: {message}\n")
    sys.exit(2)
