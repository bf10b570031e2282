"""Turns pictures into a data set's folder, which `python local_runner.py --data DIR` takes."""

import json
import os
import shlex
import sys
import warnings
from pathlib import Path
from typing import NoReturn

import tyro

from components import record
from dataprep.shards import UsageError

app = tyro.extras.SubcommandApp()


@app.command
def digits(output: Path, train_shards: int = 4, val_shards: int = 2) -> None:
    """Write scikit-learn's handwritten digits: 1,797 grey pictures of 8×8 pixels, ten classes.

    Args:
        output: Folder to make. Left as it is when it holds this data set already.
        train_shards: Number of training shards.
        val_shards: Number of validation shards.
    """
    from dataprep.digits import write  # imports numpy, which --help need not wait for

    written = write(output, train_shards, val_shards)
    _tell(output, written)


def _tell(output: Path, written: bool) -> None:
    manifest = json.loads((output / record.MANIFEST_FILE).read_text("utf-8"))
    splits = "".join(
        f"  {name}: {split['records']:,} records in {len(split['shards'])} shards\n"
        for name, split in manifest["splits"].items()
    )
    sys.stdout.write(
        f"{output}: {'written' if written else 'holds this data set already, left as it is'}\n"
        f"{splits}"
        f"Next: python local_runner.py --data {shlex.quote(str(output))}\n"
    )


def _fail(message: str, exit_code: int) -> NoReturn:
    sys.stderr.write(f"error: {message}\n")
    sys.exit(exit_code)


def main() -> None:
    """Runs a command: exit code 0 done, 2 wrong usage, 1 anything else."""
    # TensorFlow and its imports say a dozen lines about GPUs and Python versions otherwise.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    warnings.filterwarnings("ignore", category=FutureWarning, module="google")
    try:
        app.cli(prog="python -m dataprep", description=__doc__)
    except UsageError as error:
        _fail(str(error), 2)
    except OSError as error:
        _fail(f"the data set was not written: {error}", 1)


if __name__ == "__main__":
    main()
