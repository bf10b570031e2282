import pytest

from components.push.launcher_paths import to_local, to_remote

PAIRS = [
    ("minio://mlpipeline/v2/artifacts/model", "/minio/mlpipeline/v2/artifacts/model"),
    ("s3://bucket/a b/ä", "/s3/bucket/a b/ä"),
    ("gs://bucket", "/gcs/bucket"),
]


@pytest.mark.parametrize(("uri", "path"), PAIRS)
def test_what_lies_in_a_store_is_found_in_the_pod_and_the_other_way_round(uri, path):
    assert to_local(uri) == path
    assert to_remote(path) == uri


@pytest.mark.parametrize(
    "other", ["/data/gs", "gs/bucket", "hdfs://node/s3", "/tmp/minio/bucket", "/gcs", "minio:", ""]
)
def test_anything_else_stays_as_it_is(other):
    assert to_local(other) == other
    assert to_remote(other) == other


@pytest.mark.parametrize(("uri", "path"), PAIRS)
def test_what_was_mapped_already_stays_as_it_is(uri, path):
    assert to_local(path) == path
    assert to_remote(uri) == uri
