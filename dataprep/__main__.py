"""Turns images into a data set's folder, which `python local_runner.py --data DIR` takes."""

import sys
from pathlib import Path
from typing import Annotated

import tyro

from cli.ending import fail
from cli.quiet import quiet_tensorflow
from cli.streams import prepare_streams
from dataprep.errors import PreparationError, UsageError
from dataprep.flags import Making
from dataprep.outcome import tell
from dataset.errors import DataError

DATA_REFUSED = 4  # exit code, as the pipeline's

app = tyro.extras.SubcommandApp()
Count = Annotated[int | None, tyro.conf.arg(metavar="INT")]
Flags = Annotated[Making, tyro.conf.arg(name="")]
Folder = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="DIR")]
All = Annotated[bool, tyro.conf.arg(name="all"), tyro.conf.FlagCreatePairsOff]


@app.command
def digits(output: str, train_shards: int = 4, val_shards: int = 2) -> None:
    """Write scikit-learn's handwritten digits: 1,797 grey images of 8×8 pixels, ten classes.

    Args:
        output: Folder to make. Left as it is when it holds this data set already.
        train_shards: Number of training shards.
        val_shards: Number of validation shards.
    """
    from dataprep.digits import write  # imports numpy, which --help need not wait for

    written = write(output, train_shards, val_shards)
    tell(output, written)


@app.command(name="tiny-imagenet")
def tiny_imagenet(
    making: Flags, source: str | None = None, train_shards: int = 128, val_shards: int = 64
) -> None:
    """Write Tiny ImageNet: 110,000 images of 64×64 pixels, 200 classes.

    Args:
        making: How it is made.
        source: The zip archive or the unpacked folder. Without it the archive is downloaded.
        train_shards: Number of training shards.
        val_shards: Number of validation shards.
    """
    from dataprep.tiny_imagenet import write  # imports Pillow and more

    written = write(source, train_shards, val_shards, making)
    tell(making.output, written, flags="--preset tiny-imagenet ")


@app.command(name="image-folder")
def image_folder(
    making: Flags,
    source: str,
    val_share: float = 0.2,
    train_shards: Count = None,
    val_shards: Count = None,
) -> None:
    """Write your own images: a folder for each class, with or without train/ and val/ around.

    Args:
        making: How it is made.
        source: The folder, or a zip archive of it.
        val_share: Share of each class for validation, where the source has no train/ and val/.
        train_shards: Number of training shards. Default: one for every 1,000 images.
        val_shards: Number of validation shards. Default: likewise.
    """
    from dataprep.image_folder import write  # imports Pillow and more

    tell(making.output, write(source, val_share, train_shards, val_shards, making))


@app.command
def tfrecords(
    making: Flags,
    source: str,
    image_key: str | None = None,
    label_key: str | None = None,
    label_base: Count = None,
    labels: str | None = None,
    val_share: float = 0.2,
    train_shards: Count = None,
    val_shards: Count = None,
) -> None:
    """Write what other tools' TFRecord files hold, those of tensorflow_datasets among them.

    What the flags do not say is found out, and printed.

    Args:
        making: How it is made.
        source: The folder, a file, or a pattern like 'DIR/*.tfrecord'; gzip files too.
        image_key: Feature with the image's file.
        label_key: Feature with the class: a number, a one-hot vector or a name.
        label_base: The first class's number, 0 or 1.
        labels: File with the classes' names in label order, one a line.
        val_share: Share of each class for validation, where the source has no split for it.
        train_shards: Number of training shards. Default: one for every 1,000 images.
        val_shards: Number of validation shards. Default: likewise.
    """
    from dataprep.tfrecords.command import write  # imports Pillow and more
    from dataprep.tfrecords.reading import Flags as Told

    told = Told(image_key, label_key, label_base, labels)
    tell(making.output, write(source, told, val_share, train_shards, val_shards, making))


@app.command
def inspect(
    data: Folder, contact_sheet: Path = Path("contact-sheet.png"), all_classes: All = False
) -> None:
    """Print a data set's counts, sizes and class balance, and draw some images of its classes.

    Args:
        data: The data set's folder.
        contact_sheet: PNG file to draw, or to draw anew.
        all_classes: Print all classes, not only the smallest and the largest.
    """
    from dataprep.inspection import report  # imports TensorFlow

    report(data, contact_sheet, all_classes=all_classes)


@app.command
def verify(data: Folder, all_records: All = False) -> None:
    """Read every shard and every record of a data set, and report all that is wrong with it.

    Exit code: 0 nothing is, 4 something is.

    Args:
        data: The data set's folder.
        all_records: Name all bad records, not only the first.
    """
    from dataprep.verification import report  # imports TensorFlow

    if not report(data, all_records=all_records):
        sys.exit(DATA_REFUSED)


def main() -> None:
    """Runs a command: exit code 0 done, 2 wrong usage, 4 data refused, 1 anything else."""
    prepare_streams()
    quiet_tensorflow()
    try:
        app.cli(prog="python -m dataprep", description=__doc__)
    except UsageError as error:
        fail(str(error), 2)
    except DataError as error:
        fail(str(error), DATA_REFUSED)
    except PreparationError as error:
        fail(str(error), 1)
    except KeyboardInterrupt:
        sys.stderr.write("interrupted; nothing was written\n")
        sys.exit(130)
    except OSError as error:
        fail(f"the data set was not written: {error}", 1)


if __name__ == "__main__":
    main()
