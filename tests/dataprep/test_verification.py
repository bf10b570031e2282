from pathlib import Path

import hand_made
import pytest
from hand_made import CONVERTED, example, examples, image

from dataprep.verification import verify
from dataset.errors import DataError
from dataset.folder import read_dataset

SHARD = "train/train-00000-of-00003"


def found_in(folder: Path):
    return verify(folder, advance=lambda _: None)


def bare(folder: Path, train=None, val=None, names=hand_made.NAMES) -> Path:
    """A data set without a manifest."""
    return hand_made.write(folder, train or hand_made.train(), val or hand_made.val(), names=names)


@pytest.fixture
def folder(tmp_path) -> Path:
    """A whole data set with manifest, labels and an empty shard."""
    return hand_made.write_manifest(bare(tmp_path / "data"))


def test_whole_data_set(folder):
    found = found_in(folder)
    assert found.faults == ()
    assert found.good
    assert (found.findings.records, len(found.findings.shards)) == (12, 4)


def test_without_manifest_labels_and_optional_features(tmp_path):
    def records(first: int) -> list[bytes]:
        return [example(label, image(first + label)) for label in (1, 2)]

    assert found_in(bare(tmp_path / "data", [records(0)], [records(5)], names=None)).good


@pytest.mark.skipif(not CONVERTED.exists(), reason="needs ../shared/data")
def test_shards_of_the_conversion_tool():
    found = found_in(CONVERTED)
    assert found.good
    assert (found.findings.records, len(found.findings.shards)) == (600, 192)
    assert found.leaked == found.repeated("train") == found.repeated("val") == 0


def test_tells_of_all_bytes_that_it_reads(folder):
    read = []
    verify(folder, read.append)
    assert sum(read) == sum(shard.stat().st_size for shard in folder.glob("*/*-of-*"))


# Faults of shards: what is done to a folder, and what is said of it.


def truncated(folder: Path) -> str:
    shard = folder / SHARD
    shard.write_bytes(shard.read_bytes()[:-7])
    start = sum(len(record) + 16 for record in hand_made.train()[0][:5])
    return f"{SHARD}: record 5, at byte {start}, is cut short"


def one_bit_flipped(folder: Path) -> str:
    content = bytearray((folder / SHARD).read_bytes())
    content[100] ^= 1
    (folder / SHARD).write_bytes(content)
    return f"{SHARD}: record 0, at byte 0, was altered"


def missing(folder: Path) -> str:
    (folder / SHARD).unlink()
    return SHARD


def one_too_many(folder: Path) -> str:
    (folder / "train" / "train-00003-of-00003").write_bytes(b"")
    return "train/train-00003-of-00003"


def foreign_file(folder: Path) -> str:
    (folder / "val" / "val-notes.txt").write_text("mine")
    return "val/val-notes.txt"


def folder_in_place_of_a_shard(folder: Path) -> str:
    (folder / SHARD).unlink()
    (folder / SHARD).mkdir()
    return f"{SHARD}: [Errno 21] Is a directory"


SHARD_FAULTS = [
    truncated,
    one_bit_flipped,
    missing,
    one_too_many,
    foreign_file,
    folder_in_place_of_a_shard,
]


@pytest.mark.parametrize("break_it", SHARD_FAULTS)
@pytest.mark.parametrize("manifest", [True, False], ids=["manifest", "bare"])
def test_fault_of_a_shard_is_told_and_the_others_are_read(folder, break_it, manifest):
    if not manifest:
        (folder / "manifest.json").unlink()
    message = break_it(folder)
    last = folder / "val" / "val-00000-of-00001"
    last.write_bytes(hand_made.frame(example(4, image(1))))  # a bad record: tells that it is read
    found = found_in(folder)
    assert any(fault.count(message) for fault in found.faults), found.faults
    assert [one.problem.reason for one in found.findings.bad] == ["label out of range"]


@pytest.mark.parametrize("break_it", SHARD_FAULTS)
def test_what_the_pipeline_refuses_is_not_good(folder, break_it):
    break_it(folder)
    for manifest in (True, False):
        try:
            read_dataset(folder)
        except (DataError, OSError):
            assert not found_in(folder).good
        if manifest:
            (folder / "manifest.json").unlink()


def test_records_before_the_damage_are_checked(tmp_path):
    train = [[example(9, image(0)), *examples(99, first=0)]]
    folder = bare(tmp_path / "data", train)
    shard = folder / "train" / "train-00000-of-00001"
    shard.write_bytes(shard.read_bytes()[:-1])
    findings = found_in(folder).findings
    assert [one.index for one in findings.bad] == [0]
    assert findings.classes["train"].total() == 98


def test_place_of_a_bad_record_far_into_a_shard(tmp_path):
    train = [[*examples(150, first=0), example(9, image(0))], [example(9, image(0))]]
    bad = found_in(bare(tmp_path / "data", train)).findings.bad
    assert [(one.shard[-14:], one.index) for one in bad] == [
        ("00000-of-00002", 150),
        ("00001-of-00002", 0),
    ]


def test_damaged_shard_is_told_once(folder):
    truncated(folder)
    assert len(found_in(folder).faults) == 1


def test_shard_that_was_written_anew_is_not_as_the_manifest_tells(folder):
    records = hand_made.train()[0]
    content = b"".join(map(hand_made.frame, reversed(records)))
    (folder / SHARD).write_bytes(content)
    assert found_in(folder).faults == (f"{SHARD} was altered: its SHA-256 is another",)


def test_labels_file_that_is_gone_or_changed(folder):
    labels = folder / "labels.txt"
    labels.write_text("ant\nbee\ncat\n")
    [fault] = found_in(folder).faults
    assert "labels.txt is not as manifest.json says" in fault
    labels.unlink()
    assert found_in(folder).faults == ("labels.txt is missing",)


def test_labels_file_with_a_name_twice(tmp_path):
    [fault] = found_in(bare(tmp_path / "data", names=("ant", "ant", "bee"))).faults
    assert "labels.txt, line 2: 'ant' is on line 1 already" in fault


@pytest.mark.parametrize("content", [b"{}", b"\xff", b"[]"])
def test_file_that_is_no_manifest(folder, content):
    (folder / "manifest.json").write_bytes(content)
    [fault] = found_in(folder).faults
    assert "manifest.json is not a manifest that dataprep wrote" in fault


# Bad records.


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (example(1, b"", filename="a.JPEG"), "no image"),
        (example(1, b"hello, world", filename="a.JPEG"), "image does not decode"),
        (example(1, image(0, (1, 1)), filename="a.JPEG"), "image too small"),
        (example(1, image(0)[:-60], filename="a.JPEG"), "image does not decode"),
        (example(-1, image(0), filename="a.JPEG"), "label out of range"),
        (example(4, image(0), filename="a.JPEG"), "label out of range"),
        (example(2, image(0), "n1", filename="a.JPEG"), "wrong class"),
    ],
    ids=["zero bytes", "text", "1×1", "cut", "label -1", "label N+1", "wrong synset"],
)
def test_bad_record_is_named(tmp_path, bad, reason):
    train = hand_made.train()
    train[1].insert(2, bad)
    found = found_in(hand_made.write_manifest(bare(tmp_path / "data", train)))
    assert found.faults == ()
    assert not found.good
    assert found.findings.records == 13
    [one] = found.findings.bad
    assert str(one).startswith(f"train/train-00001-of-00003, record 2: a.JPEG: {reason}: ")


def test_record_that_is_no_example(tmp_path):
    [one] = found_in(bare(tmp_path / "data", [*hand_made.train(), [b"\xff"]])).findings.bad
    assert one.problem.reason == "no tf.Example"


# Classes.


def test_label_with_two_synsets_and_synset_with_two_labels(tmp_path):
    train = [*hand_made.train(), [example(1, image(50), "n9"), example(3, image(51), "n2")]]
    assert found_in(bare(tmp_path / "data", train)).faults == (
        "label 1 stands for several classes: n1, n9",
        "label 3 stands for several classes: n2, n3",
        "class n2 has several labels: 2, 3",
    )


def test_class_that_val_lacks(tmp_path):
    val = [examples(4, first=20, labels=(1, 3))]
    [fault] = found_in(bare(tmp_path / "data", val=val)).faults
    assert fault.startswith("val lacks 1 of 3 classes: label 2. ")


def test_val_label_beyond_the_training_labels(tmp_path):
    train = [examples(4, first=0, labels=(1, 2))]
    folder = bare(tmp_path / "data", train, names=None)
    [fault] = found_in(folder).faults
    assert fault.startswith("val has records with label 3, beyond train's last, 2. ")


def test_one_training_label(tmp_path):
    folder = bare(
        tmp_path / "data", [examples(4, 0, labels=(1,))], [examples(2, 9, labels=(1,))], None
    )
    [fault] = found_in(folder).faults
    assert fault.startswith("all training records have one label")


def test_label_0_is_a_fault_of_the_data_set(tmp_path):
    """For the pipeline refuses it too, however few records have it."""
    train = hand_made.train()
    train[1].insert(2, example(0, image(0), filename="a.JPEG"))
    found = found_in(hand_made.write_manifest(bare(tmp_path / "data", train)))
    [fault] = found.faults
    assert fault.startswith("1 records have the label 0: labels count from 0 here, from 1 in this")
    [one] = found.findings.bad
    assert str(one) == (
        "train/train-00001-of-00003, record 2: a.JPEG: label 0: no class has it; labels count "
        "from 1"
    )


def test_huge_label_does_not_hang(tmp_path):
    train = [*hand_made.train(), [example(2**60, image(50)), example(10**6, image(51))]]
    found = found_in(bare(tmp_path / "data", train, names=None))
    assert [one.problem.reason for one in found.findings.bad] == ["label out of range"]
    assert "train lacks 999,996 of 1,000,000 classes: label 4, label 5, label 6" in found.faults[0]


@pytest.mark.parametrize("empty", ["train", "val"])
def test_empty_split(tmp_path, empty):
    folder = bare(tmp_path / "data", **{empty: [[], []]})
    assert found_in(folder).faults == (f"{empty} has no good records. Both splits need some",)


# Images that are there twice.


def test_repeated_images_are_counted_and_not_refused(tmp_path):
    train, val = hand_made.train(), hand_made.val()
    train[2] = [train[0][0], train[0][0]]
    val[0] += [train[0][1], train[1][0], train[1][0]]
    found = found_in(bare(tmp_path / "data", train, val))
    assert found.good
    assert (found.repeated("train"), found.repeated("val"), found.leaked) == (2, 1, 3)
