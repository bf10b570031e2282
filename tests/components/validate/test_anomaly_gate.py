import json
import logging
from pathlib import Path

import pytest
import tensorflow as tf
import tensorflow_data_validation as tfdv
from tensorflow_metadata.proto.v0 import anomalies_pb2
from tfx.components.distribution_validator.executor import Executor as DistributionValidator
from tfx.components.example_validator.executor import Executor as ExampleValidator
from tfx.components.statistics_gen.executor import Executor as StatisticsGen
from tfx.types import standard_artifacts

from components.validate.anomaly_gate import (
    NAMED_ANOMALIES,
    AnomalyGate,
    describe,
    skew_config,
    statistics_options,
)
from dataset.errors import DataError
from pipeline.config import DataConfig

pytestmark = pytest.mark.slow  # they run Beam

BEAM_ARGS = ["--runner=FnApiRunner", "--sdk_container_image=this-process"]
MAX_SKEW = DataConfig().max_skew

Found = tuple[standard_artifacts.ExampleAnomalies, standard_artifacts.ExampleAnomalies]


def artifact_at(artifact_class, folder: Path, splits: bool = True):
    folder.mkdir(parents=True)
    artifact = artifact_class()
    artifact.uri = str(folder)
    if splits:
        artifact.split_names = json.dumps(["train", "val"])
    return artifact


@pytest.fixture(scope="module")
def validate(tmp_path_factory, schema_path):
    """Function: each split's records → the anomalies and the skew that TFX's components find."""

    def validate(train: list[bytes], val: list[bytes], options=None) -> Found:
        folder = tmp_path_factory.mktemp("validate")
        examples = artifact_at(standard_artifacts.Examples, folder / "examples")
        for split, records in (("train", train), ("val", val)):
            (folder / "examples" / f"Split-{split}").mkdir()
            path = folder / "examples" / f"Split-{split}" / "data_tfrecord-00000-of-00001.gz"
            with tf.io.TFRecordWriter(str(path), "GZIP") as writer:
                for serialized in records:
                    writer.write(serialized)
        schema = artifact_at(standard_artifacts.Schema, folder / "schema", splits=False)
        (folder / "schema" / "schema.pbtxt").write_text(Path(schema_path).read_text())
        statistics = artifact_at(standard_artifacts.ExampleStatistics, folder / "statistics")
        StatisticsGen(
            StatisticsGen.Context(
                beam_pipeline_args=BEAM_ARGS, tmp_dir=str(folder / "tmp"), unique_id="1"
            )
        ).Do(
            {"examples": [examples], "schema": [schema]},
            {"statistics": [statistics]},
            {"stats_options_json": (options or statistics_options()).to_json()},
        )
        anomalies = artifact_at(standard_artifacts.ExampleAnomalies, folder / "anomalies", False)
        ExampleValidator().Do(
            {"statistics": [statistics], "schema": [schema]}, {"anomalies": [anomalies]}, {}
        )
        skew = artifact_at(standard_artifacts.ExampleAnomalies, folder / "skew", False)
        DistributionValidator().Do(
            {"statistics": [statistics], "baseline_statistics": [statistics]},
            {"anomalies": [skew]},
            {
                "distribution_validator_config": skew_config(MAX_SKEW),
                "include_split_pairs": json.dumps([["val", "train"]]),
            },
        )
        return anomalies, skew

    return validate


@pytest.fixture(scope="module")
def record(example):
    """Function: number of the record → one with every feature, four classes in turn."""

    def record(number: int, **changes) -> bytes:
        label = changes.pop("label", 1 + number % 4)
        features = {
            "class/synset": b"n%02d" % label,
            "format": b"JPEG",
            "colorspace": b"RGB",
            "filename": b"%d.jpg" % number,
            "height": 60 + number % 5,
            "width": 80 + number % 3,
            "channels": 3,
        }
        return example(b"image %d" % number, label, **{**features, **changes})

    return record


@pytest.fixture(scope="module")
def good(record):
    return [record(n) for n in range(120)], [record(n) for n in range(60)]


@pytest.fixture(scope="module")
def good_found(validate, good):
    return validate(*good)


@pytest.fixture(scope="module")
def skewed(validate, record, good):
    """Of a validation split that differs in everything, and a training record of no channels."""
    train, _ = good
    val = [
        record(
            n,
            label=4 if n % 6 else 1,
            height=30,
            width=300,
            format=b"PNG",
            colorspace=b"Grayscale",
        )
        for n in range(60)
    ]
    return validate([*train, record(0, channels=0)], val)


def test_good_data_have_no_anomalies(good_found):
    anomalies, skew = good_found
    assert list(describe(anomalies)) == []
    assert list(describe(skew)) == []


@pytest.mark.parametrize("feature", ["class/label", "format", "colorspace"])
def test_splits_that_differ_are_told(skewed, feature):
    """Shares of the classes, kinds of the images."""
    _, skew = skewed
    lines = [line for line in describe(skew) if f"`image/{feature}`" in line]
    assert len(lines) == 1
    assert lines[0].startswith("val_train: ")
    assert "Jensen-Shannon divergence" in lines[0]
    assert f"above the threshold {MAX_SKEW}" in lines[0]


def test_features_that_are_not_compared_are_no_skew(skewed):
    """Every file name is another; so is every size here."""
    assert len(list(describe(skewed[1]))) == 3


def test_values_that_the_schema_does_not_allow_are_told(skewed):
    anomalies, _ = skewed
    assert list(describe(anomalies)) == ["train: `image/channels`: Unexpectedly small value: 0."]


def test_records_without_image_or_label_are_told(validate, example, record):
    anomalies, _ = validate(
        [*(record(n) for n in range(9)), example(b"image", None)],
        [*(record(n) for n in range(9)), example(None, 1)],
    )
    lines = list(describe(anomalies))
    assert any(line.startswith("train: `image/class/label`: ") for line in lines)
    assert any(line.startswith("val: `image/encoded`: ") for line in lines)


def test_features_that_all_records_lack_are_no_anomalies(validate, example):
    records = [example(b"image %d" % n, 1 + n % 4) for n in range(60)]
    anomalies, skew = validate(records, records[:20])
    assert list(describe(anomalies)) == []
    assert list(describe(skew)) == []
    # TFDV itself has something to say of them.
    [path] = Path(skew.uri).glob("SplitPair-val_train/*")
    raw = anomalies_pb2.Anomalies.FromString(path.read_bytes())
    assert "image/format" in raw.anomaly_info


def test_one_image_of_another_size_is_no_skew(validate, record):
    train = [record(n, height=64 if n else 63, width=64) for n in range(300)]
    _, skew = validate(train, [record(n, height=64, width=64) for n in range(60)])
    assert list(describe(skew)) == []


@pytest.fixture(scope="module")
def many_classes(example):
    """Two splits of 1,600 classes with nearly the same shares, 3 to 2 and 2 to 3."""

    def split(odd: int, even: int) -> list[bytes]:
        return [
            example(b"x", label)
            for label in range(1, 1601)
            for _ in range(odd if label % 2 else even)
        ]

    return split(3, 2), split(2, 3)


def test_thousands_of_classes_in_like_shares_are_no_skew(validate, many_classes):
    _, skew = validate(*many_classes)
    assert list(describe(skew)) == []


def test_tfdvs_own_options_would_see_skew_in_them(validate, many_classes):
    """If this fails, `statistics_options` is no longer needed."""
    _, skew = validate(*many_classes, tfdv.StatsOptions())
    assert any("`image/class/label`" in line for line in describe(skew))


# ---- the node


def test_node_lets_good_data_pass(good_found, caplog):
    anomalies, skew = good_found
    with caplog.at_level(logging.WARNING):
        AnomalyGate.test_call(anomalies=anomalies, skew=skew, refuse=True)
    assert "anomalies" not in caplog.text


def test_node_stops_the_run_and_names_everything(skewed):
    anomalies, skew = skewed
    with pytest.raises(DataError) as raised:
        AnomalyGate.test_call(anomalies=anomalies, skew=skew, refuse=True)
    message = str(raised.value)
    assert message.startswith("anomalies in the data:\n  train: `image/channels`: ")
    assert message.count("\n  val_train: ") == 3
    assert message.endswith("set --data.refuse_anomalies False")


@pytest.mark.parametrize("found", ["anomalies", "skew"])
def test_either_kind_stops_the_run(good_found, skewed, found):
    artifacts = dict(zip(("anomalies", "skew"), good_found, strict=True))
    artifacts[found] = skewed[found == "skew"]
    with pytest.raises(DataError):
        AnomalyGate.test_call(**artifacts, refuse=True)


def test_node_only_tells_if_it_is_not_to_refuse(skewed, caplog):
    anomalies, skew = skewed
    with caplog.at_level(logging.WARNING, "components.validate.anomaly_gate"):
        AnomalyGate.test_call(anomalies=anomalies, skew=skew, refuse=False)
    [logged] = [
        entry for entry in caplog.records if entry.name == "components.validate.anomaly_gate"
    ]
    assert logged.levelname == "WARNING"
    assert "\n  train: `image/channels`: " in logged.message
    assert "\n  val_train: `image/format`: " in logged.message


def test_anomalies_of_the_whole_data_set_are_told_and_many_are_counted(tmp_path, good_found):
    anomalies = artifact_at(standard_artifacts.ExampleAnomalies, tmp_path / "found", False)
    found = anomalies_pb2.Anomalies()
    found.dataset_anomaly_info.reason.add(description="Too few of them.")
    for number in range(NAMED_ANOMALIES + 5):
        found.anomaly_info[f"feature {number:02d}"].reason.add(description="Odd.")
    (tmp_path / "found" / "Split-train").mkdir()
    (tmp_path / "found" / "Split-train" / "SchemaDiff.pb").write_bytes(found.SerializeToString())
    with pytest.raises(
        DataError,
        match=r"(?s)\n  train: Too few of them\.\n  train: `feature 00`: Odd\.\n.* and 6 more\n",
    ):
        AnomalyGate.test_call(anomalies=anomalies, skew=good_found[1], refuse=True)
