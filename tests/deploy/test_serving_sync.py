"""deploy/serving/s3/sync.sh: how versions come from a bucket to the folder TF Serving polls."""

import os
import shutil
import subprocess

import pytest
import yaml
from commands import ROOT

from served_model.interface import MODEL_NAME

S3 = ROOT / "deploy" / "serving" / "s3"

# The two commands of rclone that are used, on folders. FAIL makes it end with an error half-way.
RCLONE = """#!/bin/sh
command=$1
for last; do :; done
if [ "$command" = lsf ]; then
  cd "$last" || exit 3
  for file in */saved_model.pb; do
    [ ! -f "$file" ] || echo "$file"
    [ "$FAIL" != lsf ] || exit 5
  done
  exit 0
fi
mkdir -p "$3"
[ "$FAIL" != copy ] || { touch "$3/half"; exit 5; }
cp -R "$2/." "$3"
[ "$FAIL" != prune ] || rm "$3/saved_model.pb"
"""


@pytest.fixture
def bucket(tmp_path):
    program = tmp_path / "bin" / "rclone"
    program.parent.mkdir()
    program.write_text(RCLONE, "utf-8")
    program.chmod(0o755)
    return tmp_path / "bucket"


def upload(bucket, *versions, whole=True):
    for version in versions:
        (bucket / version / "variables").mkdir(parents=True)
        (bucket / version / "variables" / "variables.index").write_text(version)
        if whole:
            (bucket / version / "saved_model.pb").write_text(version)


def run_sync(bucket, fail=""):
    target = bucket.parent / "models" / MODEL_NAME
    environment = {
        "PATH": f"{bucket.parent / 'bin'}:{os.environ['PATH']}",
        "SOURCE": str(bucket),
        "TARGET": str(target),
        "FAIL": fail,
    }
    ended = subprocess.run(["sh", S3 / "sync.sh"], env=environment, capture_output=True, text=True)
    return ended, sorted(path.name for path in target.iterdir())


def test_whole_versions_are_copied_the_newest_first(bucket):
    upload(bucket, "9", "10", "11.old", "label")
    upload(bucket, "12", whole=False)
    ended, here = run_sync(bucket)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines() == ["version 10 is here", "version 9 is here"]
    assert here == ["10", "9"]
    target = bucket.parent / "models" / MODEL_NAME
    assert (target / "10" / "variables" / "variables.index").read_text() == "10"
    ended, here = run_sync(bucket)
    assert (ended.returncode, ended.stdout, here) == (0, "", ["10", "9"])


def test_a_version_that_left_the_bucket_is_deleted(bucket):
    upload(bucket, "1", "2", "3")
    run_sync(bucket)
    (bucket / "1" / "saved_model.pb").unlink()  # what pruning does first
    ended, here = run_sync(bucket)
    assert (ended.stdout, here) == ("version 1 is deleted\n", ["2", "3"])


@pytest.mark.parametrize("fail", ["copy", "prune"])
def test_half_a_version_is_never_seen(bucket, fail):
    upload(bucket, "1")
    run_sync(bucket)
    upload(bucket, "2")
    _, here = run_sync(bucket, fail)
    assert [name for name in here if name.isdigit()] == ["1"]
    _, here = run_sync(bucket)  # and the next pass makes good for it
    assert here == ["1", "2"]


def test_a_store_that_does_not_answer_deletes_nothing(bucket):
    upload(bucket, "1", "2")
    run_sync(bucket)
    ended, here = run_sync(bucket, "lsf")
    assert (ended.returncode, here) == (5, ["1", "2"])
    shutil.rmtree(bucket)
    ended, here = run_sync(bucket)
    assert (ended.returncode, here) == (3, ["1", "2"])
    bucket.mkdir()
    ended, here = run_sync(bucket)
    assert (ended.returncode, here) == (1, ["1", "2"])
    assert "no version there" in ended.stderr


@pytest.mark.skipif(not shutil.which("rclone"), reason="rclone is not on PATH")
def test_with_rclone_from_s3(tmp_path):
    import boto3
    from moto.server import ThreadedMotoServer

    keys = {"AWS_ACCESS_KEY_ID": "somebody", "AWS_SECRET_ACCESS_KEY": "secret"}
    kustomization = yaml.safe_load((S3 / "kustomization.yaml").read_text("utf-8"))
    [literals] = [
        maps["literals"] for maps in kustomization["configMapGenerator"] if "literals" in maps
    ]
    settings = dict(literal.split("=", 1) for literal in literals)
    _, bucket, folder = settings["SOURCE"].replace(":", "/").split("/", 2)
    bucket = bucket.lower()
    server = ThreadedMotoServer(port=0)
    server.start()
    try:
        endpoint = "http://{}:{}".format(*server.get_host_and_port())
        client = boto3.client(
            "s3",
            endpoint_url=endpoint,
            region_name="us-east-1",
            aws_access_key_id=keys["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=keys["AWS_SECRET_ACCESS_KEY"],
        )
        client.create_bucket(Bucket=bucket)
        for name in ("1/saved_model.pb", "1/variables/variables.index", "2/fingerprint.pb"):
            client.put_object(Bucket=bucket, Key=f"{folder}/{name}", Body=name.encode())
        environment = {
            **settings,
            **keys,
            "PATH": os.environ["PATH"],
            "SOURCE": f"store:{bucket}/{folder}",
            "RCLONE_CONFIG_STORE_ENDPOINT": endpoint,
            "RCLONE_CONFIG": "",
            "TARGET": str(tmp_path / MODEL_NAME),
        }
        ended = subprocess.run(
            ["sh", S3 / "sync.sh"], env=environment, capture_output=True, text=True
        )
    finally:
        server.stop()
    assert (ended.returncode, ended.stderr) == (0, "")
    files = {
        path.relative_to(tmp_path / MODEL_NAME) for path in tmp_path.rglob("*") if path.is_file()
    }
    assert {str(path) for path in files} == {"1/saved_model.pb", "1/variables/variables.index"}
