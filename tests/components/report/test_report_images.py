import base64
import hashlib
import io
import json
import struct

import pytest
import tensorflow as tf
from exif import exif, jpeg, segment
from PIL import Image
from tfx.types import standard_artifacts

from components.evaluate.answers import image_digest
from components.report import images, keys
from dataset import record


def picture(width: int, height: int, kind: str = "PNG", mode: str = "RGB") -> bytes:
    file = io.BytesIO()
    Image.new(mode, (width, height), 200).save(file, kind)
    return file.getvalue()


def example(image: bytes, name: str = "") -> bytes:
    features = {record.IMAGE: image, record.FILENAME: name.encode()}
    feature = {
        key: tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
        for key, value in features.items()
    }
    return tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString()


def opened(uri: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(uri.removeprefix("data:image/jpeg;base64,"))))


@pytest.fixture
def artifacts(tmp_path):
    """Examples of three images of the validation split, as ImportExampleGen writes them."""
    artifact = standard_artifacts.Examples()
    artifact.uri, artifact.split_names = str(tmp_path), '["train", "val"]'
    folder = tmp_path / "Split-val"
    folder.mkdir()
    options = tf.io.TFRecordOptions(compression_type="GZIP")
    with tf.io.TFRecordWriter(str(folder / "data-00000-of-00001.gz"), options) as writer:
        for width in (10, 20, 300):
            writer.write(example(picture(width, 10)))
    return {keys.EXAMPLES: [artifact]}


def test_thumbnails_are_of_the_images_that_are_wanted(artifacts):
    wanted = image_digest(picture(300, 10)), image_digest(b"of no image")
    [(digest, uri)] = images.thumbnails(artifacts, record.VAL, set(wanted)).items()
    assert digest == wanted[0]
    assert opened(uri).width == images.SIDE


def test_sizes_are_height_and_width(artifacts):
    assert images.sizes(artifacts, record.VAL) == [(10, 10), (10, 20), (10, 300)]


def test_without_examples_there_is_nothing_to_show():
    assert images.thumbnails({}, record.VAL, {"digest"}) == {}
    assert images.sizes({}, record.VAL) == []


@pytest.mark.parametrize(("kind", "mode"), [("PNG", "RGBA"), ("PNG", "L"), ("JPEG", "CMYK")])
def test_thumbnail_of_every_kind_of_image(kind, mode):
    assert opened(images.thumbnail(picture(40, 20, kind, mode))).size == (40, 20)


def test_thumbnail_is_upright_though_another_tag_is_spoilt():
    """Cameras spoil some, and the image graph reads the orientation all the same."""
    spoilt = exif(6).replace(struct.pack("<HHI", 0x010F, 2, 4), struct.pack("<HHI", 0x010F, 11, 1))
    assert spoilt != exif(6)
    file = jpeg(Image.new("RGB", (40, 20)), segment(spoilt))
    assert opened(images.thumbnail(file)).size == (20, 40)


@pytest.mark.parametrize("file", [b"", b"no image", picture(40, 20)[:60]])
def test_what_is_no_image_has_no_thumbnail(file):
    assert images.thumbnail(file) is None


def test_quarantined_records_are_shown_as_far_as_they_can_be(tmp_path):
    """Each with its reason, though the records lie in another order than the lines."""
    records = [example(picture(8, 8), "a.png"), example(b"?", "b.png"), b"\xff\xff"]
    with tf.io.TFRecordWriter(str(tmp_path / "quarantine-00000-of-00001.tfrecord")) as writer:
        for serialized in reversed(records):
            writer.write(serialized)
    lines = [
        {"shard": "val/0", "index": n, "name": name, "detail": detail, "sha256": digest}
        for n, (name, detail, digest) in enumerate(
            zip(
                ("a.png", "b.png", ""),
                ("no label", "no image", "no tf.Example"),
                (hashlib.sha256(serialized).hexdigest() for serialized in records),
                strict=True,
            )
        )
    ]
    lines = "".join(f"{json.dumps(line)}\n" for line in lines)
    (tmp_path / "quarantine.jsonl").write_text(lines, "utf-8")
    first, second, third = images.quarantined(str(tmp_path))
    assert (first.place, first.name, first.detail) == ("val/0, record 0", "a.png", "no label")
    assert opened(first.thumbnail).size == (8, 8)
    assert (second.name, second.detail, second.thumbnail) == ("b.png", "no image", None)
    assert (third.name, third.detail, third.thumbnail) == ("", "no tf.Example", None)


def test_of_many_quarantined_records_the_first_are_shown(tmp_path):
    lines = [
        {"shard": f"train/{n % 3}", "index": n, "name": "", "detail": "", "sha256": f"{n}"}
        for n in reversed(range(90))
    ]
    lines = "".join(f"{json.dumps(line)}\n" for line in lines)
    (tmp_path / "quarantine.jsonl").write_text(lines, "utf-8")
    shown = images.quarantined(str(tmp_path))
    assert [one.place for one in shown] == [f"train/0, record {n}" for n in range(0, 60, 3)]
