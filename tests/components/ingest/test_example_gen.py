import gzip
import hashlib
import itertools
import json
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tfx.components import ImportExampleGen
from tfx.types import standard_artifacts

from components.ingest import shuffle
from components.ingest.example_gen import GatedExampleGen
from components.ingest.report import REPORT_FILE, DataReport, Report, read_report
from dataset.errors import DataError
from dataset.manifest import Shard
from dataset.record_check import BATCH, Rules

pytestmark = pytest.mark.slow  # they run Beam

RULES = Rules(num_classes=3, synsets=("n01", "Kätzchen", 'a "b"'))
NAMES = ("ant", "bee", "cat")
IN_PROCESS = ("--runner=FnApiRunner", "--sdk_container_image=this-process")


@dataclass
class Ran:
    """What an execution left."""

    examples: standard_artifacts.Examples
    folder: Path  # of the report's artifact

    @property
    def report(self) -> Report:
        return read_report(str(self.folder))

    def paths(self, split: str) -> list[str]:
        return sorted(map(str, Path(self.examples.uri).glob(f"Split-{split}/*.gz")))

    def records(self, split: str) -> Counter[bytes]:
        return Counter(data.numpy() for data in tf.data.TFRecordDataset(self.paths(split), "GZIP"))

    @property
    def files(self) -> dict[str, bytes]:
        uri = Path(self.examples.uri)
        return {str(p.relative_to(uri)): p.read_bytes() for p in sorted(uri.glob("Split-*/*"))}

    @property
    def quarantine(self) -> list[dict]:
        text = (self.folder / "quarantine.jsonl").read_text("utf-8")
        return [json.loads(line) for line in text.removesuffix("\n").split("\n") if line]

    @property
    def quarantined(self) -> Counter[bytes]:
        files = sorted(map(str, self.folder.glob("quarantine-*.tfrecord")))
        return Counter(data.numpy() for data in tf.data.TFRecordDataset(files))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Function: the data set's folder → what the component's executor made of it."""

    def run(
        data: Path,
        rules: Rules = RULES,
        class_names: tuple[str, ...] = (),
        beam_args: tuple[str, ...] = IN_PROCESS,
        file_mb: int = 128,
    ) -> Ran:
        output = tmp_path_factory.mktemp("executed")
        examples, report = standard_artifacts.Examples(), DataReport()
        examples.uri, report.uri = str(output / "examples"), str(output / "report")
        Path(report.uri).mkdir()
        node = GatedExampleGen(str(data), rules, class_names, file_mb, source="")
        executor_class = node.EXECUTOR_SPEC.executor_class
        context = executor_class.Context(
            beam_pipeline_args=list(beam_args), tmp_dir=str(output), unique_id="1"
        )
        executor_class(context).Do(
            {}, {"examples": [examples], "report": [report]}, dict(node.exec_properties)
        )
        return Ran(examples, Path(report.uri))

    return run


@pytest.fixture(scope="module")
def images(encode):
    """200 different images."""
    noise = np.random.default_rng(0).integers(0, 256, (200, 8, 8, 3)).astype(np.uint8)
    return [encode(array) for array in noise]


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


@pytest.fixture(scope="module")
def large(example, encode):
    """3 MB of records in the order of their three classes, and 0.1 MB for `val`."""
    noise = np.random.default_rng(1).integers(0, 256, (93, 105, 105, 3), np.uint8)
    records = [example(encode(array), 1 + n // 31) for n, array in enumerate(noise)]
    return {"train": records[:90], "val": records[90:]}


def test_files_are_the_same_however_the_records_lie_in_shards(
    run, large, write_shards, tmp_path_factory
):
    """Else the same data and seed would not train the same model, nor sorted ones as well."""
    sorted_by_class, mixed = (tmp_path_factory.mktemp(name) for name in ("sorted", "mixed"))
    for split, records in large.items():
        write_shards(sorted_by_class, split, [records[n : n + 12] for n in range(0, 96, 12)])
        write_shards(mixed, split, [records[n::3] for n in reversed(range(3))])
    first, second = (run(data, Rules(), file_mb=1) for data in (sorted_by_class, mixed))
    assert first.files == second.files
    names = [f"Split-train/data_tfrecord-{n:05d}-of-00003.gz" for n in range(3)]
    assert list(first.files) == [*names, "Split-val/data_tfrecord-00000-of-00001.gz"]
    assert all(len(content) < 1.5e6 for content in first.files.values())
    for split, records in large.items():
        assert first.records(split) == Counter(records)


def test_data_sorted_by_class_are_mixed(run, example, encode, write_shards, tmp_path):
    """Batches have the classes that random ones would have."""
    classes, of_class, batch = 20, 96, 128
    image = encode(np.zeros((8, 8, 3), np.uint8))
    records = [
        example(image, 1 + n // of_class, filename=b"%d" % n) for n in range(classes * of_class)
    ]
    shard = len(records) // 8
    write_shards(tmp_path, "train", [records[n * shard : (n + 1) * shard] for n in range(8)])
    write_shards(tmp_path, "val", [records[::of_class]])
    files = run(tmp_path, Rules()).paths("train")
    label = {"image/class/label": tf.io.FixedLenFeature([], tf.int64)}
    surprise = []
    for serialized in tf.data.TFRecordDataset(files, "GZIP").batch(batch):
        labels = tf.io.parse_example(serialized, label)["image/class/label"].numpy()
        counts = np.bincount(labels, minlength=classes + 1)[1:]
        assert (counts > 0).sum() >= classes - 3
        surprise.append(((counts - batch / classes) ** 2).sum() / (batch / classes))
    # Chi-squared of 19 degrees of freedom: mean 19, its own deviation 6; of 15 batches, 1.6.
    assert 12 < np.mean(surprise) < 26


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


# ---- a data set with damaged shards

DAMAGED = {  # what is done to a shard: the beginning of what is told of it
    "cut inside the first header": "record 0, at byte 0, is cut short",
    "cut inside a length": "record 2, at byte {2}, is cut short",
    "cut inside the length's checksum": "record 2, at byte {2}, is cut short",
    "cut inside the data": "record 2, at byte {2}, is cut short",
    "cut inside the data's checksum": "record 2, at byte {2}, is cut short",
    "bit flipped in a length": "record 1, at byte {1}, has no valid header",
    "bit flipped in the length's checksum": "record 1, at byte {1}, has no valid header",
    "bit flipped in the data": "record 1, at byte {1}, was altered: wrong checksum",
    "bit flipped in the data's checksum": "record 1, at byte {1}, was altered: wrong checksum",
    "gzipped": "record 0, at byte 0, has no valid header: it is a gzip file",
    "text": "record 0, at byte 0, has no valid header",
}


def damage(shard: bytes, starts: list[int], kind: str) -> bytes:
    """The shard, whose records start at `starts` and end at the last of them, damaged."""
    places = {"a length": 3, "length's": 9, "the data": 20}
    offset = next((n for place, n in places.items() if kind.endswith(place)), 9)
    if kind == "cut inside the first header":
        return shard[:7]
    if kind == "gzipped":
        return gzip.compress(shard)
    if kind == "text":
        return b"These are not the records you are looking for."
    record = 2 if kind.startswith("cut") else 1
    byte = starts[record + 1] - 2 if "data's" in kind else starts[record] + offset
    if kind.startswith("cut"):
        return shard[:byte]
    return shard[:byte] + bytes([shard[byte] ^ 0x40]) + shard[byte + 1 :]


@pytest.fixture(scope="module")
def damaged(run, example, images, write_shards, tmp_path_factory):
    """The damaged shards' bytes by kind, where their records start, and what was found."""
    folder = tmp_path_factory.mktemp("damaged")
    records = [example(images[n], 1 + n % 3) for n in range(4)]
    starts = [0, *itertools.accumulate(len(serialized) + 16 for serialized in records)]
    paths = write_shards(folder, "train", [records] * len(DAMAGED))
    [shard, _] = write_shards(folder, "val", [records, []])
    (folder / "val" / "val-00000-of-00002.gz").write_bytes(gzip.compress(shard.read_bytes()))
    contents = {}
    for kind, path in zip(DAMAGED, paths, strict=True):
        contents[kind] = damage(path.read_bytes(), starts, kind)
        path.write_bytes(contents[kind])
    return contents, starts, run(folder)


@pytest.mark.parametrize(("index", "kind"), enumerate(DAMAGED), ids=DAMAGED)
def test_damaged_shard_is_told_and_ends_nothing(damaged, index, kind):
    contents, starts, ran = damaged
    name = f"train/train-{index:05d}-of-{len(DAMAGED):05d}"
    assert ran.report.faults[name].startswith(DAMAGED[kind].format(*starts))
    whole = int(DAMAGED[kind].split(",")[0].removeprefix("record "))  # records before the fault
    content = contents[kind]
    # The digest is that of the whole file, also of what lies behind the fault.
    assert ran.report.shards[name] == Shard(
        len(content), whole, hashlib.sha256(content).hexdigest()
    )


def test_other_shards_and_the_records_before_a_fault_are_read(damaged):
    _, _, ran = damaged
    assert len(ran.report.faults) == len(DAMAGED) + 1
    assert ran.report.good("val") == ran.records("val").total() == 4
    assert ran.report.good("train") == ran.records("train").total() == 4 * 2 + 4 * 1


def test_compressed_shard_is_not_read_whatever_its_name(damaged):
    """The next reader would not decompress it either; DataGate refuses its name too."""
    _, _, ran = damaged
    assert "it is a gzip file" in ran.report.faults["val/val-00000-of-00002.gz"]


def test_without_bad_records_quarantine_is_empty(damaged):
    _, _, ran = damaged
    assert ran.quarantine == []
    assert not ran.quarantined


# ---- rules


def test_records_are_held_to_the_rules_given(run, example, images, write_shards, tmp_path):
    write_shards(tmp_path, "train", [[example(images[n], 1 + n) for n in range(4)]])
    ran = run(tmp_path, Rules(), class_names=("ant", "bee"))
    assert ran.report.bad == {"train": {"label out of range": 2}, "val": {}}
    # The validation split is missing; DataGate tells.
    assert ran.report.good("val") == 0
    assert set(ran.report.shards) == {"train/train-00000-of-00001"}
    assert (ran.folder / REPORT_FILE).exists()


# ---- classes

SYNSETS = ("n01", "n02", "n03")


@pytest.fixture
def named(example, images, write_shards, write_manifest, tmp_path):
    """A data set's folder with labels.txt and manifest, as dataprep writes it."""
    records = [
        example(images[n], 1 + n % 3, **{"class/synset": SYNSETS[n % 3].encode()}) for n in range(6)
    ]
    for split in ("train", "val"):
        write_shards(tmp_path, split, [records])
    (tmp_path / "labels.txt").write_text("Kätzchen\nbee\ncat\n", "utf-8")
    write_manifest(tmp_path, SYNSETS)
    return tmp_path


def test_classes_that_are_not_given_are_those_of_the_folder(run, named):
    report = run(named, Rules()).report
    assert report.class_names == ("Kätzchen", "bee", "cat")
    assert report.num_classes == 3
    assert (report.good("train"), report.good("val")) == (6, 6)


def test_records_are_held_to_the_classes_of_the_folder(run, named, example, images, write_shards):
    other = {"class/synset": b"n01"}
    write_shards(named, "val", [[example(images[0], 2, **other), example(images[1], 4)]])
    assert run(named, Rules()).report.bad["val"] == {"wrong class": 1, "label out of range": 1}


def test_classes_that_are_given_win(run, named):
    names = ("Ente", "Biene", "Katze")
    report = run(named, Rules(synsets=("n01", "n02", "n99")), names).report
    assert report.class_names == names
    assert report.bad["train"] == report.bad["val"] == {"wrong class": 2}


def test_names_that_are_given_stand_in_for_a_file_that_is_faulty(run, named):
    (named / "labels.txt").write_bytes(b"\xff")
    assert run(named, Rules(), ("ant", "bee", "cat")).report.class_names == ("ant", "bee", "cat")


@pytest.mark.parametrize(
    ("missing", "names", "number"),
    [
        (["labels.txt"], (), 3),
        (["manifest.json"], ("Kätzchen", "bee", "cat"), 3),
        (["labels.txt", "manifest.json"], (), 0),
    ],
)
def test_folder_need_not_tell_of_its_classes(run, named, missing, names, number):
    for name in missing:
        (named / name).unlink()
    report = run(named, Rules()).report
    assert (report.class_names, report.num_classes) == (names, number)
    assert report.good("train") == 6


def test_class_without_records_counts(run, named):
    """The network has an output for it, and the gate misses its records."""
    (named / "manifest.json").unlink()
    (named / "labels.txt").write_text("ant\nbee\ncat\ndog\n")
    assert run(named, Rules()).report.num_classes == 4


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("labels.txt", b"ant\nbee\ncat\n", r"labels\.txt is not as manifest\.json says"),
        ("manifest.json", b"{}", r"manifest\.json is not a manifest that dataprep wrote"),
        ("manifest.json", b"\xff", r"manifest\.json is not a manifest that dataprep wrote"),
    ],
)
def test_folder_that_does_not_go_with_itself_is_refused(run, named, file, content, message):
    (named / file).write_bytes(content)
    with pytest.raises(DataError, match=f"{named}/{message}"):
        run(named, Rules())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xff\n", r"is not UTF-8"),
        (b"ant\n\ncat\n", r"line 2: no name"),
        (b"ant\nbee\nant\n", r"line 3: 'ant' is on line 1 already"),
    ],
)
def test_faulty_names_are_refused(run, named, content, message):
    (named / "manifest.json").unlink()
    (named / "labels.txt").write_bytes(content)
    with pytest.raises(DataError, match=rf"{named}/labels\.txt.* {message}"):
        run(named, Rules())


@pytest.mark.parametrize(
    ("names", "synsets", "message"),
    [
        (("ant", "bee"), (), "there are 2 class names for 3 classes"),
        ((), ("n01", "n02"), "there are 3 class names for 2 classes"),
    ],
)
def test_as_many_names_as_classes(run, named, names, synsets, message):
    with pytest.raises(DataError, match=f"{named}: {message}"):
        run(named, Rules(synsets=synsets), names)


def test_classes_are_read_in_a_folder_of_any_name(run, named, tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "my dätä [1] *"
    named.rename(folder)
    assert run(folder, Rules()).report.class_names == ("Kätzchen", "bee", "cat")


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
