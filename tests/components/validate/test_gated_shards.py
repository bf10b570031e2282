"""Shards that are damaged, or not those that were written, are refused."""

from pathlib import Path

import pytest
from data_reports import shards_of

from components.ingest.report import NAMED_PROBLEMS, Report
from components.validate.data_gate import (
    check_shards,
)
from dataset.errors import DataError
from dataset.manifest import Shard


def test_shards_as_they_were_written_pass(written, tmp_path):
    check_shards(Report(shards=shards_of(3, 2)), written)
    check_shards(Report(shards=shards_of(1, 7)), str(tmp_path / "no manifest there"))


def test_damaged_shards_are_named_with_what_is_wrong(written):
    report = Report(shards=shards_of(3, 2))
    report.faults = {
        "val/val-00001-of-00002": "record 7, at byte 99, is cut short",
        "train/train-00000-of-00003": "record 0, at byte 0, was altered: wrong checksum",
    }
    with pytest.raises(
        DataError,
        match=r"shards are damaged:\n  train/train-00000-of-00003: record 0, .* altered: .*"
        r"\n  val/val-00001-of-00002: record 7, at byte 99, is cut short\n",
    ):
        check_shards(report, written)


def test_many_damaged_shards_are_counted(written):
    report = Report(faults={f"train/{n:03d}": "cut short" for n in range(NAMED_PROBLEMS + 7)})
    with pytest.raises(DataError, match=r"\n  train/019: cut short and 7 more\n"):
        check_shards(report, written)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"train/train-00001-of-00003": None}, "missing train/train-00001-of-00003"),
        ({"val/val-00002-of-00002": Shard(1, 1, "")}, "val/val-00002-of-00002 cannot be one"),
        ({"val/val-00000-of-00001": Shard(1, 1, "")}, "val mixes shard sets of 1 and 2"),
        ({"val/val-00000-of-00002.gz": Shard(1, 1, "")}, "would be read as a shard"),
        ({"val/val-00001-of-00002": Shard(99, 1, "1")}, "val-00001.* has 99 bytes instead of 101"),
        ({"val/val-00001-of-00002": Shard(101, 2, "1")}, "val-00001.* has 2 records, not 1"),
        ({"val/val-00001-of-00002": Shard(101, 1, "2")}, "val-00001.* was altered: its SHA-256"),
        (
            {"val/val-00000-of-00002": None, "val/val-00001-of-00002": None},
            "val-00000-of-00002 is missing, val/val-00001-of-00002 is missing",
        ),
    ],
)
def test_shards_that_are_not_those_that_were_written(written, change, message):
    shards = {name: shard for name, shard in {**shards_of(3, 2), **change}.items() if shard}
    with pytest.raises(DataError, match=message):
        check_shards(Report(shards=shards), written)


@pytest.mark.parametrize("content", [b"{}", b"\xff"])
def test_manifest_of_something_else(written, content):
    (Path(written) / "manifest.json").write_bytes(content)
    with pytest.raises(DataError, match=r"manifest\.json is not a manifest"):
        check_shards(Report(shards=shards_of(3, 2)), written)
