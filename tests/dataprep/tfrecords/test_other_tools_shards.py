"""Shards that other tools wrote: what is wrong with them is said, and the command that takes them.

Of each kind a small data set is read as a user would: `verify` refuses it, and prints a command,
which is run as it was printed.
"""

import re
import shlex
import tarfile
from pathlib import Path

import pytest

from dataprep.__main__ import main
from dataset.errors import DataError
from dataset.folder import read_dataset

INPUTS = Path(__file__).parents[3].parent / "shared" / "data" / "user-inputs"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not INPUTS.exists(), reason="needs ../shared/data"),
]

ANIMALS = ("cat", "dog", "eel")
SPECIES = tuple(f"species{index:04d}" for index in range(1200))
FROM_0_ON, FROM_1_ON = ("0", "1", "2"), ("1", "2", "3")  # of classes that nothing names
FROM_0 = "the label 0: labels count from 0 here, from 1 in this format"
OTHER_NAMES = "Wanted: train/train-00000-of-00001 and val/val-00000-of-00001, with any numbers"

# Input → what `verify` says, the flags that it fills in, the classes that the command makes, and
# the number of records.
KINDS = {
    "s3_zerobased": (f"10 records have {FROM_0}", "--label-base 0", FROM_0_ON, 30),
    "s3b_zerobased_named": (f"10 records have {FROM_0}", "--label-base 0", ANIMALS, 30),
    "s30_zerobased_1200": (f"3 records have {FROM_0}", "--label-base 0", SPECIES, 3600),
    "s4_stringlabel": (
        "`image/class/label` is bytes, 'cat'; it must be one int64",
        "",
        ANIMALS,
        30,
    ),
    "s5_tfdskeys": (
        "no `image/encoded` and no `image/class/label`: it holds `image` (bytes, a PNG image), "
        "`label` (int64, 0)",
        "--image-key image --label-key label",
        FROM_0_ON,
        30,
    ),
    "s7_plainname": (OTHER_NAMES, "", FROM_1_ON, 18),
    "s8b_shardname_tfrecord": (
        "would be read as a shard, but is not named like one, train/train-00003-of-00128",
        "",
        FROM_1_ON,
        30,
    ),
    "s18_webp": ("it is WebP, which TensorFlow does not decode", "", FROM_1_ON, 30),
}


@pytest.fixture
def dataprep(monkeypatch, capsys):
    """Function: arguments of a command → exit code and what was printed."""

    def dataprep(*arguments):
        monkeypatch.setattr("sys.argv", ["dataprep", *map(str, arguments)])
        try:
            main()
            code = 0
        except SystemExit as stop:
            code = stop.code
        printed = capsys.readouterr()
        return code, printed.out + printed.err

    return dataprep


def unpacked(name: str, folder: Path) -> Path:
    """The folder of an input."""
    with tarfile.open(INPUTS / f"{name}.tgz") as archive:
        archive.extractall(folder, filter="data")
    return folder / name


@pytest.mark.parametrize("kind", KINDS)
def test_verify_says_what_is_wrong_and_its_command_takes_them(dataprep, tmp_path, kind):
    said, flags, classes, number = KINDS[kind]
    folder = unpacked(kind, tmp_path)
    code, printed = dataprep("verify", folder)
    assert code == 4
    assert said in printed
    converted = f"{folder}-converted"
    command = f"--source {folder} --output {converted}{flags and ' '}{flags}"
    [printed_command] = set(re.findall(r"`python -m dataprep (tfrecords .*?)`", printed))
    assert printed_command == f"tfrecords {command}"

    code, printed = dataprep(*shlex.split(printed_command))
    assert code == 0, printed
    dataset = read_dataset(Path(converted))
    assert dataset.class_names == classes
    assert sum(dataset.records.values()) == number
    code, printed = dataprep("verify", converted)
    assert code == 0, printed


@pytest.mark.parametrize("kind", ["s7_plainname", "s8b_shardname_tfrecord"])
def test_the_pipeline_says_it_before_it_starts(tmp_path, kind):
    folder = unpacked(kind, tmp_path)
    with pytest.raises(DataError, match=re.escape(KINDS[kind][0])) as refused:
        read_dataset(folder)
    assert f"`python -m dataprep tfrecords --source {folder}" in str(refused.value)


def test_inspect_says_that_labels_count_from_0(dataprep, tmp_path):
    folder = unpacked("s3_zerobased", tmp_path)
    code, printed = dataprep("inspect", folder, "--contact-sheet", tmp_path / "sheet.png")
    assert code == 0
    assert KINDS["s3_zerobased"][0] in printed
