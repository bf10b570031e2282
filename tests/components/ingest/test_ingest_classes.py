"""The rules and classes that records are held to: those given, or those of the data's folder."""

import pytest

from components.ingest.report import REPORT_FILE
from dataset.errors import DataError
from dataset.record_check import Rules

pytestmark = pytest.mark.slow  # they run Beam


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
