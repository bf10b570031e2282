"""Against folders that tensorflow_datasets wrote, and against what it writes of other kinds."""

import json
import shutil

import pytest
from foreign import SHAPES, TONES

from dataprep.errors import UsageError
from dataprep.tfrecords import tfds


def test_named_classes_and_splits():
    found = tfds.find(str(SHAPES), None, None)
    assert (found.title, found.image, found.label) == ("shapes/1.0.0", "image", "label")
    assert found.class_names == ("disc", "square", "bar")
    assert found.shards == {
        "train": {"shapes-train.tfrecord-00000-of-00001": 24},
        "validation": {"shapes-validation.tfrecord-00000-of-00001": 9},
        "test": {"shapes-test.tfrecord-00000-of-00001": 3},
    }


@pytest.mark.parametrize("above", [0, 1, 2])
def test_the_folder_of_a_version_may_lie_below(above):
    """Name, configuration and version are folders in each other; there is one of each here."""
    folder = [TONES, *TONES.parents][above]
    found = tfds.find(str(folder), None, None)
    assert found.folder == str(TONES)
    assert (found.title, found.image, found.label) == ("tones/small/2.1.0", "photo", "tone")
    assert found.class_names == ("0", "1", "2", "3")
    assert list(found.shards["train"].values()) == [13, 14, 13]


def test_several_versions_are_not_chosen_from(tmp_path):
    shutil.copytree(SHAPES, tmp_path / "1.0.0")
    shutil.copytree(SHAPES, tmp_path / "1.1.0")
    with pytest.raises(UsageError, match=r"holds 2 versions or configurations: 1\.0\.0, 1\.1\.0"):
        tfds.find(str(tmp_path), None, None)


def test_a_folder_of_another_tool(tmp_path):
    assert tfds.find(str(tmp_path), None, None) is None


@pytest.fixture
def altered(tmp_path):
    """Function: changes a metadata file of `shapes` by a function → the folder."""

    def altered(change, name=tfds.FEATURES):
        folder = tmp_path / "data"
        if not folder.exists():
            shutil.copytree(SHAPES, folder)
        content = json.loads((folder / name).read_text())
        change(content)
        (folder / name).write_text(json.dumps(content))
        return str(folder)

    return altered


def features_of(content):
    return content["featuresDict"]["features"]


def add_features(content):
    features = features_of(content)
    features["mask"], features["colour"] = features["image"], features["label"]


def test_of_several_images_and_classes_the_supervised_ones_are_taken(altered):
    found = tfds.find(altered(add_features), None, None)
    assert (found.image, found.label) == ("image", "label")


def test_without_supervised_keys_it_is_asked(altered):
    altered(lambda info: info.pop("supervisedKeys"), tfds.INFO)
    folder = altered(add_features)
    with pytest.raises(UsageError, match=r"which feature is the image\?.*--image-key"):
        tfds.find(folder, None, None)
    with pytest.raises(UsageError, match=r"which feature is the label\?.*--label-key"):
        tfds.find(folder, "mask", None)
    assert tfds.find(folder, "mask", "label").image == "mask"


def test_a_name_as_label(altered):
    folder = altered(lambda content: features_of(content).pop("label"))
    found = tfds.find(folder, None, "file_name")
    assert (found.label, found.class_names) == ("file_name", ())


@pytest.mark.parametrize(
    ("change", "name", "message"),
    [
        (
            lambda info: info.update(fileFormat="array_record"),
            tfds.INFO,
            r"'array_record'; TFRecord files are read\. `tfds convert_format`",
        ),
        (
            lambda content: features_of(content)["image"]["image"].update(dtype="float32"),
            tfds.FEATURES,
            r"`image` holds numbers of type float32",
        ),
        (
            lambda content: features_of(content)["label"]["classLabel"].update(numClasses="4"),
            tfds.FEATURES,
            r"label\.labels\.txt has 3 names, and features\.json tells of 4 classes",
        ),
        (lambda info: info.pop("splits"), tfds.INFO, r"not as tensorflow_datasets writes it"),
        (lambda content: content.pop("featuresDict"), tfds.FEATURES, r"not as tensorflow_datasets"),
    ],
)
def test_what_cannot_be_read_is_told(altered, change, name, message):
    with pytest.raises(UsageError, match=message):
        tfds.find(altered(change, name), None, None)


def test_a_key_that_is_none_of_the_features():
    with pytest.raises(UsageError, match=r"--label-key tag: shapes/1\.0\.0 has the features file_"):
        tfds.find(str(SHAPES), None, "tag")
