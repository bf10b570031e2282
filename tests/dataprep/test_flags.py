import os
import sys

import pytest

from dataprep.errors import UsageError
from dataprep.flags import (
    MOST_SHARDS,
    WORTH_WORKERS,
    Beam,
    Making,
    check_making,
    check_shards,
    chosen_shards,
    same_again,
)
from dataset.folder import order_shards
from dataset.record import shard_name


def test_shards():
    check_shards({"train": 1, "val": None})
    for wrong in (0, MOST_SHARDS + 1):
        with pytest.raises(UsageError, match=f"--val-shards must be .* Received: {wrong:,}"):
            check_shards({"train": 1, "val": wrong})


def test_as_many_shards_as_there_may_be_are_shards_by_their_names():
    names = [shard_name("train", index, MOST_SHARDS) for index in range(MOST_SHARDS)]
    assert order_shards("data", "train", names) == tuple(names)
    assert chosen_shards({"train": None}, {"train": 10**12}) == {"train": MOST_SHARDS}


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"seed": -1}, "--seed must be between"),
        ({"seed": 2**32}, "--seed must be between"),
        ({"max_left_out": -0.1}, "--max-left-out must be in"),
        ({"max_left_out": 1.0}, "--max-left-out must be in"),
        ({"max_left_out": float("nan")}, "--max-left-out must be in"),
        ({"max_pixels": 0}, "--max-pixels must be 1 or more"),
    ],
)
def test_numbers(flags, message):
    with pytest.raises(UsageError, match=message):
        check_making(Making("data", **flags), source=None)


@pytest.mark.parametrize("output", ["mine", "mine/data", "other/../mine/a"])
def test_output_inside_the_source(output):
    with pytest.raises(UsageError, match="lies inside --source mine"):
        check_making(Making(output), "mine")


@pytest.mark.parametrize(
    ("output", "source"),
    [("mine2", "mine"), ("a/mine", "mine"), ("gs://mine/a", "mine"), ("a", "gs://a"), ("a", None)],
)
def test_output_apart_from_the_source(output, source):
    check_making(Making(output), source)


@pytest.mark.parametrize("place", ["https://host/a.zip", "file:///a", "", "c://data"])
def test_places_that_are_none(place):
    for flag, making, source in (
        ("--source", Making("data"), place),
        ("--output", Making(place), "mine"),
    ):
        with pytest.raises(UsageError, match=f"^{flag} ({place}: of addresses|is empty)"):
            check_making(making, source)


def test_flags_that_make_the_same_data_set_again():
    shards = {"train": 3, "val": 2}
    assert same_again(shards, Making("data", seed=7)) == "--seed 7 --train-shards 3 --val-shards 2"
    assert same_again(shards, Making("data", max_pixels=9)).endswith("-shards 2 --max-pixels 9")


def test_a_worker_a_core_for_many_images(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2})
    monkeypatch.setattr(sys, "executable", "/home/me/my projects/.venv/bin/python")
    assert Beam().flags(WORTH_WORKERS) == ["--runner=FnApiRunner"]  # they would never start
    monkeypatch.setattr(sys, "executable", "/home/me/fishnet-tfx/.venv/bin/python")
    assert Beam().flags(WORTH_WORKERS - 1) == ["--runner=FnApiRunner"]
    assert Beam().flags(WORTH_WORKERS) == [
        "--runner=FnApiRunner",
        "--direct_running_mode=multi_processing",
        "--direct_num_workers=3",
    ]


def test_beams_own_flags_are_passed_on(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2})
    told = Beam("flink", ("--flink_master=local",))
    assert told.flags(WORTH_WORKERS) == ["--runner=FlinkRunner", "--flink_master=local"]
    told = Beam(args=("--direct_num_workers=1",))
    assert told.flags(WORTH_WORKERS) == ["--runner=FnApiRunner", "--direct_num_workers=1"]
