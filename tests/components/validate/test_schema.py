from pathlib import Path

import pytest
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx.types import standard_artifacts
from tfx.utils import io_utils

from components.validate.schema import CuratedSchema
from dataset import record


def test_writes_the_text_where_tfx_looks_for_a_schema(tmp_path):
    artifact = standard_artifacts.Schema()
    artifact.uri = str(tmp_path)
    CuratedSchema.test_call(text='feature { name: "Kätzchen" type: INT }', schema=artifact)
    schema = io_utils.SchemaReader().read(io_utils.get_only_uri_in_dir(str(tmp_path)))
    assert [feature.name for feature in schema.feature] == ["Kätzchen"]
    assert Path(tmp_path / "schema.pbtxt").exists()


def test_curated_schema_has_the_records_features_and_asks_for_two(schema):
    features = {feature.name: feature for feature in schema.feature}
    assert set(features) == {
        record.IMAGE,
        record.LABEL,
        record.SYNSET,
        record.FORMAT,
        record.FILENAME,
        record.HEIGHT,
        record.WIDTH,
        record.COLORSPACE,
        record.CHANNELS,
    }
    needed = {name for name, feature in features.items() if feature.presence.min_count}
    assert needed == {record.IMAGE, record.LABEL}
    assert features[record.LABEL].int_domain.min == record.LABEL_BASE


@pytest.mark.parametrize("name", [record.LABEL, record.HEIGHT, record.WIDTH, record.CHANNELS])
def test_numbers_are_integers_in_the_curated_schema(schema, name):
    [feature] = [feature for feature in schema.feature if feature.name == name]
    assert feature.type == schema_pb2.INT
