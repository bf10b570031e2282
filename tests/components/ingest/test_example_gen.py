"""ImportExampleGen on good and bad records: what passes on, what is set aside and told."""

import hashlib
import itertools
import json
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from ingested import IN_PROCESS, RULES
from tfx.components import ImportExampleGen

from components.ingest import shuffle
from components.ingest.example_gen import GatedExampleGen
from components.ingest.report import DataReport
from dataset.manifest import Shard
from dataset.record_check import BATCH, Rules

pytestmark = pytest.mark.slow  # they run Beam

NAMES = ("ant", "bee", "cat")


# ---- a data set with good and bad records


@pytest.fixture(scope="module")
def bad_records(example, images):
    """Each bad in another way: the reason → the record."""
    synset = "class/synset"
    return {
        "no tf.Example": b"\xff" * 40,
        "no label": example(images[0], None, filename='"ohne"\n\u2028猫.png'.encode()),
        "label out of range": example(images[0], 4),
        "wrong class": example(images[0], 3, **{synset: "Kätzchen".encode()}),
        "no image": example(b"", 1),
        "image does not decode": example(images[0][:-30], 2, filename=b"cut.png"),
        "image too small": example(tf.io.encode_png(np.zeros((1, 1, 3), np.uint8)).numpy(), 2),
        "wrong type": example(images[0], 1, height=b"8"),
    }


@pytest.fixture(scope="module")
def shards(example, images, bad_records):
    """Split → its shards' records. The shards are: long, empty, with bad records, short."""
    synsets = dict(enumerate(RULES.synsets, start=1))

    def good(numbers: range) -> list[bytes]:
        return [
            example(
                images[n],
                1 + n % 3,
                filename=f"{n}.png".encode(),
                **{"class/synset": synsets[1 + n % 3].encode()},
            )
            for n in numbers
        ]

    # More than a batch of good records before the bad ones, which are spread over those after it.
    spread = good(range(20, 20 + BATCH + 16))
    for place, serialized in enumerate(bad_records.values()):
        spread.insert(BATCH + 2 * place, serialized)
    return {
        "train": [good(range(20)), [], spread, good(range(120, 130))],
        "val": [
            # Five images that are in the training split too, one of them twice.
            [*good(range(130, 160)), *good(range(5)), example(images[3], 2, filename=b"other")],
            [bad_records["no image"], *good(range(160, 165))],
        ],
    }


@pytest.fixture(scope="module")
def data(shards, write_shards, write_manifest, tmp_path_factory):
    # Two of these characters are special in patterns.
    data = tmp_path_factory.mktemp("data") / "my dätä [1] *"
    for split, records in shards.items():
        write_shards(data, split, records)
    write_manifest(data)
    (data / "train" / "notes.txt").write_text("no shard")
    return data


@pytest.fixture(scope="module")
def ran(run, data):
    return run(data)


def expected(shards, bad_records, split: str) -> Counter[bytes]:
    every = Counter(itertools.chain(*shards[split]))
    return Counter({one: n for one, n in every.items() if one not in bad_records.values()})


def test_good_records_pass_on_as_they_are(ran, shards, bad_records):
    for split, number in (("train", 110), ("val", 41)):
        assert ran.records(split).total() == number
        assert ran.records(split) == expected(shards, bad_records, split)


def test_nothing_else_is_left(ran, run, data, monkeypatch, tmp_path_factory):
    left = {path.name for path in Path(ran.examples.uri).iterdir()}
    assert left == {"Split-train", "Split-val"}

    def fail(*_: object, **__: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(shuffle, "write_file", fail)
    with pytest.raises(Exception, match="no space left"):
        run(data)
    assert not list(tmp_path_factory.getbasetemp().glob("executed*/examples/.scratch"))


def test_examples_are_such_as_the_next_components_expect(ran):
    assert json.loads(ran.examples.split_names) == ["train", "val"]
    assert ran.examples.get_string_custom_property("payload_format") == "FORMAT_TF_EXAMPLE"
    assert ran.examples.get_string_custom_property("file_format") == "tfrecords_gzip"


def test_bad_records_are_kept_byte_for_byte(ran, bad_records):
    assert ran.quarantined == Counter(bad_records.values()) + Counter([bad_records["no image"]])


def test_quarantine_tells_where_each_bad_record_is_and_why(ran, shards, bad_records):
    found = {(line["shard"], line["index"]): line for line in ran.quarantine}
    assert len(found) == len(ran.quarantine) == len(bad_records) + 1
    for place, line in found.items():
        split, number = place[0].split("/")[0], int(place[0][-14:-9])
        serialized = shards[split][number][place[1]]
        assert serialized == bad_records[line["reason"]]
        assert line["sha256"] == hashlib.sha256(serialized).hexdigest()
        assert line["detail"]
    cut = next(line for line in found.values() if line["name"] == "cut.png")
    assert {**cut, "sha256": ""} == {
        "sha256": "",
        "shard": "train/train-00002-of-00004",
        "index": BATCH + 2 * 5,
        "name": "cut.png",
        "label": 2,
        "reason": "image does not decode",
        "detail": "its data are damaged",
    }


def test_quarantine_has_one_line_for_a_record_whatever_its_name(ran):
    [line] = [line for line in ran.quarantine if line["reason"] == "no label"]
    assert line["name"] == '"ohne"\n\u2028猫.png'
    assert line["label"] is None


def test_report_counts_good_and_bad_records(ran, bad_records):
    report = ran.report
    assert (report.good("train"), report.good("val")) == (110, 41)
    assert report.labels("train").total() == 110
    assert set(report.classes["train"]) == set(enumerate(RULES.synsets, start=1))
    assert report.bad == {"train": dict.fromkeys(bad_records, 1), "val": {"no image": 1}}
    assert report.bad_labels == {1: 3, 2: 2, 3: 1}
    assert len(report.problems) == len(bad_records) + 1
    assert report.faults == {}


def test_report_counts_images_of_train_in_val(ran):
    assert ran.report.leaked == 6


def test_report_tells_every_shard_as_the_manifest_does(ran, data):
    splits = json.loads((data / "manifest.json").read_text("utf-8"))["splits"]
    written = {**splits["train"]["shards"], **splits["val"]["shards"]}
    assert len(written) == 6  # train/notes.txt is none
    assert ran.report.shards == {name: Shard(**facts) for name, facts in written.items()}


@pytest.mark.skipif(" " in sys.executable, reason="Beam starts no workers there")
def test_worker_processes_find_the_same(run, data, ran):
    workers = ("--direct_running_mode=multi_processing", "--direct_num_workers=2")
    parallel = run(data, beam_args=(*IN_PROCESS, *workers))
    assert parallel.report == ran.report
    assert parallel.quarantined == ran.quarantined
    assert sorted(map(str, parallel.quarantine)) == sorted(map(str, ran.quarantine))
    assert parallel.files == ran.files


# ---- the component


@pytest.fixture
def node(data):
    return GatedExampleGen(str(data), RULES, NAMES, 128, source="abc")


def test_is_an_import_example_gen_with_one_more_output(node):
    plain = ImportExampleGen(input_base="data")
    assert isinstance(node, ImportExampleGen)
    assert node.DRIVER_CLASS is plain.DRIVER_CLASS
    assert set(node.outputs) == {*plain.outputs, "report"}
    assert node.outputs["report"].type is DataReport
    parameters = {"rules", "class_names", "file_mb", "folder_fingerprint", "source"}
    assert set(node.spec.PARAMETERS) == {*plain.spec.PARAMETERS, *parameters}
    for name in ("output_data_format", "output_file_format"):
        assert node.exec_properties[name] == plain.exec_properties[name]


@pytest.mark.parametrize(
    "other",
    [
        {"rules": Rules(num_classes=4, synsets=RULES.synsets)},
        {"rules": Rules(num_classes=3)},
        {"rules": Rules(num_classes=3, synsets=RULES.synsets, max_pixels=99)},
        {"class_names": ("ant", "bee", "cow")},
        {"class_names": ()},
        {"file_mb": 64},
        {"fingerprint": "123"},
        {"source": "def"},
    ],
)
def test_other_rules_are_no_cache_hit(node, data, other):
    these = {"input_base": str(data), "rules": RULES, "class_names": NAMES}
    these |= {"file_mb": 128, "source": "abc"}
    assert GatedExampleGen(**these).exec_properties == node.exec_properties
    assert GatedExampleGen(**{**these, **other}).exec_properties != node.exec_properties


def test_driver_sees_a_change_of_the_data(node, data):
    """By its fingerprint of the files, on which the cache depends."""

    def fingerprint() -> str:
        driver = node.DRIVER_CLASS(None)
        properties = driver.resolve_exec_properties(dict(node.exec_properties), None, None)
        return properties["input_fingerprint"]

    before = fingerprint()
    assert "split:train,num_files:4," in before
    assert "split:val,num_files:2," in before
    shard = data / "val" / "val-00001-of-00002"
    content = shard.read_bytes()
    try:
        shard.write_bytes(content + b"x")
        assert fingerprint() != before
    finally:
        shard.write_bytes(content)
