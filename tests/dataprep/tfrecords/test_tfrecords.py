"""The command, from the files of other tools to a data set's folder."""

import json
import shutil

import pytest
from foreign import SHAPES, TONES, example, examples, image, write
from images import all_files, read_split

from dataprep.__main__ import main
from dataset import record
from dataset.folder import read_dataset


@pytest.fixture
def tfrecords(tmp_path, monkeypatch, capsys):
    """Function: source and flags → exit code, what was told, the data set's folder."""

    def tfrecords(source, *flags, output=tmp_path / "output"):
        arguments = ["dataprep", "tfrecords", "--source", source, "--output", output, *flags]
        monkeypatch.setattr("sys.argv", list(map(str, arguments)))
        try:
            main()
            code = 0
        except SystemExit as stop:
            code = stop.code
        told = capsys.readouterr()
        return code, told.out + told.err, output

    return tfrecords


def test_folder_of_tensorflow_datasets_needs_no_flags(tfrecords):
    code, told, output = tfrecords(SHAPES.parent)
    assert code == 0
    dataset = read_dataset(output)
    assert dataset.class_names == ("disc", "square", "bar")
    assert dataset.records == {"train": 24, "val": 9}
    for line in (
        "train from train; val from validation; left out: test",
        "image: `image`, label: `label`, by tensorflow_datasets, shapes/1.0.0",
        "labels: numbers, 0 to 2, counted from 0; classes named by features.json",
    ):
        assert line in told
    assert "ignored" not in told
    files = {one[record.FILENAME]: one[record.LABEL] for one in read_split(output, "train")}
    assert files == {f"{index:02d}.jpg".encode(): index % 3 + 1 for index in range(24)}


def test_of_one_split_a_share_is_split_off(tfrecords):
    code, told, output = tfrecords(TONES)
    assert code == 0
    dataset = read_dataset(output)
    assert dataset.class_names == ("0", "1", "2", "3")
    assert dataset.records == {"train": 32, "val": 8}
    assert "no validation split: it gets 20% of each class (--val-share)" in told
    manifest = json.loads((output / "manifest.json").read_text())
    assert set(manifest["splits"]["val"]["classes"].values()) == {2}


def test_missing_or_short_files_of_tensorflow_datasets_are_refused(tfrecords, tmp_path):
    folder = shutil.copytree(TONES, tmp_path / "tones")
    shard = folder / "tones-train.tfrecord-00001-of-00003"
    write(shard, [example(photo=image(0), tone=0)])
    code, told, _ = tfrecords(folder)
    assert code == 1
    assert f"{shard} has 1 records instead of 14" in told
    shard.unlink()
    code, told, _ = tfrecords(folder)
    assert code == 2
    assert f"lacks {shard.name}" in told


@pytest.mark.parametrize(
    "label",
    [
        pytest.param(lambda turn: turn, id="from 0"),
        pytest.param(lambda turn: turn + 1, id="from 1"),
        pytest.param(lambda turn: [float(turn == hot) for hot in range(3)], id="one-hot"),
        pytest.param(lambda turn: (b"ant", b"bee", b"cat")[turn], id="names"),
    ],
)
def test_every_kind_of_label_gives_the_same_classes(tfrecords, tmp_path, label):
    """Each image in the class that its label means, by the names beside the records."""
    source = tmp_path / "in"
    write(source / "train.tfrecord", examples(9, label=label))
    write(source / "val.tfrecord", examples(6, first=30, label=label))
    (source / "labels.txt").write_text("ant\nbee\ncat\n")
    code, _, output = tfrecords(source)
    assert code == 0
    assert read_dataset(output).class_names == ("ant", "bee", "cat")
    for split, seeds in (("train", range(9)), ("val", range(30, 36))):
        labels = {one[record.FILENAME]: one[record.LABEL] for one in read_split(output, split)}
        files = {seed: f"{split}.tfrecord#{turn}".encode() for turn, seed in enumerate(seeds)}
        assert labels == {files[seed]: seed % 3 + 1 for seed in seeds}


def test_jpeg_files_stay_as_they_are_and_others_are_converted(tfrecords, tmp_path):
    kinds = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF")
    encoded = [image(seed, kinds[seed // 4]) for seed in range(4 * len(kinds))]
    records = [example(image=file, label=turn % 2) for turn, file in enumerate(encoded)]
    code, _, output = tfrecords(write(tmp_path / "a.tfrecord", records))
    assert code == 0
    written = {one[record.IMAGE] for split in record.SPLITS for one in read_split(output, split)}
    assert len(written) == len(encoded)
    assert all(file.startswith(b"\xff\xd8\xff") for file in written)
    assert written.intersection(encoded) == set(encoded[:4])


def test_gzip_files_and_other_keys(tfrecords, tmp_path):
    records = [example(png=image(seed), kind=seed % 3) for seed in range(30)]
    write(tmp_path / "in" / "a.gz", records[:20], packed=True)
    write(tmp_path / "in" / "b.tfrec", records[20:])
    code, told, output = tfrecords(tmp_path / "in")
    assert code == 0
    assert "1 of the files are gzip" in told
    assert "image: `png`, label: `kind`, by the first record" in told
    plain, _ = tmp_path / "plain", write(tmp_path / "in" / "a.gz", records[:20])
    assert tfrecords(tmp_path / "in", output=plain)[0] == 0
    assert all_files(plain) == all_files(output)
    assert {path.name for path in output.iterdir()} == {
        "labels.txt",
        "manifest.json",
        "train",
        "val",
    }


def test_same_source_same_bytes_and_no_second_writing(tfrecords, tmp_path):
    source = write(tmp_path / "a.tfrecord", examples(30))
    first, again = (tfrecords(source, "--train-shards", 3, output=tmp_path / n) for n in "ab")
    assert all_files(first[2]) == all_files(again[2])
    assert (
        "holds this data set already" in tfrecords(source, "--train-shards", 3, output=first[2])[1]
    )
    code, told, _ = tfrecords(source, "--label-key", "label", "--seed", 1, output=first[2])
    assert code == 2
    assert "is not empty, and not this data set" in told


def test_records_of_the_same_name_are_told_apart(tfrecords, tmp_path):
    records = examples(12, filename=b"image.png")
    code, _, output = tfrecords(write(tmp_path / "a.tfrecord", records))
    assert code == 0
    names = [one[record.FILENAME] for s in record.SPLITS for one in read_split(output, s)]
    assert names == [b"image.png"] * 12


BAD = {
    "no tf.Example": b"\xff\xff",
    "no label": example(image=image(90)),
    "no image": example(label=1),
    "label of another kind": example(image=image(91), label=b"cat"),
    "not a": example(image=b"GIF, but not really", label=1),
}


@pytest.mark.parametrize("rule", BAD)
def test_unusable_records_are_named_and_counted(tfrecords, tmp_path, rule):
    """Left out only as far as is allowed, and then told in the manifest."""
    source = write(tmp_path / "a.tfrecord", [*examples(12), BAD[rule]])
    code, told, output = tfrecords(source)
    assert code == 1
    assert rule in told
    assert "a.tfrecord#12" in told
    assert not output.exists()
    code, told, output = tfrecords(source, "--max-left-out", 0.3)
    assert code == 0
    [left_out] = json.loads((output / "manifest.json").read_text())["left_out"]
    assert left_out["file"] == "a.tfrecord#12"
    assert sum(read_dataset(output).records.values()) == 12


def test_wrong_keys_end_the_reading_soon(tfrecords, tmp_path):
    records = [example(image=image(0), tag=0), *[example(image=image(0), label=0)] * 3000]
    code, told, _ = tfrecords(write(tmp_path / "a.tfrecord", records), "--label-key", "tag")
    assert code == 1
    assert "1,499 of 1,500 records cannot be used" in told
    assert told.endswith("Mend or remove them\n")


def test_unusable_records_at_the_start_end_nothing_that_may_be_left_out(tfrecords, tmp_path):
    good = examples(12)
    records = [good[0], *[example(image=image(0))] * 2000, *good * 400]
    source = write(tmp_path / "a.tfrecord", records)
    code, told, output = tfrecords(source, "--max-left-out", 0.4)
    assert code == 0, told
    assert sum(read_dataset(output).records.values()) == 4801


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--image-key", "img"], "--image-key img: the first record has no such feature. It holds"),
        (["--label-base", "2"], "--label-base must be 0 or 1. Received: 2"),
        (["--labels", "nowhere.txt"], "--labels nowhere.txt: cannot be read (No such file"),
        (["--val-share", "1"], "--val-share must be between 0 and 1"),
        ([], "which feature is the label? The first record holds `a` (int64, 1), `b` (int64, 2)"),
    ],
)
def test_wrong_usage(tfrecords, tmp_path, flags, message):
    source = write(tmp_path / "a.tfrecord", [example(image=image(0), a=1, b=2)])
    code, told, _ = tfrecords(source, *flags)
    assert code == 2
    assert message in told


def test_no_records(tfrecords, tmp_path):
    code, told, _ = tfrecords(write(tmp_path / "a.tfrecord", []))
    assert code == 2
    assert "all 1 files are empty" in told
    code, told, _ = tfrecords(write(tmp_path / "a.tfrecord", [b"\xff"]))
    assert "a.tfrecord#0 is no tf.Example" in told
