"""The file that the container writes; the object store; why TFX needs an entry point of our own."""

import sys
from pathlib import Path

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from kubeflow.driver import TASK_ROOT, TMP
from kubeflow.emulator import (
    FAILED,
    SKIPPED,
    SUCCEEDED,
)
from kubeflow.specs import task

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("pods")]


def the_log(result):
    return result.tasks["only"].log.strip()


@pytest.mark.parametrize(
    ("place", "file"),
    [
        (TMP, "/tmp/kfp_outputs/output_metadata.json"),
        (
            TASK_ROOT,
            "/minio/bucket/v2/artifacts/hand-written/{run}/only/{task}/output_metadata.json",
        ),
    ],
)
def test_places_of_the_output_file(run, place, file):
    code = """
print(given["outputs"]["outputFile"], Path(given["outputs"]["outputFile"]).parent.exists())
tell(artifacts={"data": {"artifacts": [{"metadata": {"said": "yes"}}]}})
"""
    result = run({"only": task(code, gives=("data",))}, output_file_place=place).check()
    artifact = result.tasks["only"].artifacts["data"]
    file = file.format(run=result.id, task=artifact.uri.split("/")[-2])
    # The launcher makes the folders of the outputs, not that of this file.
    assert the_log(result) == f"{file} {place == TASK_ROOT}"
    assert artifact.metadata["said"] == "yes"


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        ("{'artefacts': {}}", "failed to unmarshall ExecutorOutput"),
        ("{'artifacts': {'data': {'artifacts': [{'metadata': {'x': None}}]}}}", "null"),
        ("{'artifacts': {'data': {'artifacts': [{'uri': str(write('data'))}]}}}", "into the pod"),
        ("{'artifacts': {'data': {'artifacts': [{'metadata': {'x': '/tmp/y'}}]}}}", "into the pod"),
        ("{'artifacts': {'data': {'artifacts': [{'metadata': {'x': {'y': ['/s3/b']}}}]}}}",
         "into the pod"),
        ("{'artifacts': {'data': {'artifacts': [{'metadata': {'x': '{\"y\": \"/gcs/b/c\"}'}}]}}}",
         "into the pod"),
        ("{'artifacts': {'data': {'artifacts': [{'uri': 'minio://bucket/elsewhere'}]}}}",
         "expected bucket prefix"),
    ],
)  # fmt: skip
def test_output_that_kubeflow_or_we_do_not_take(run, output, reason):
    code = f"write('data').write_text(''); tell(**{output})"
    result = run({"only": task(code, gives=("data",)), "next": task(dependentTasks=["only"])})
    assert result.states == {"only": FAILED, "next": SKIPPED}
    assert reason in result.tasks["only"].error
    assert result.tasks["only"].artifacts == {}


def test_a_link_to_a_folder_cannot_be_uploaded(run):
    code = """
write("data").mkdir()
write("data").joinpath("latest").symlink_to("/etc")
"""
    only = run({"only": task(code, gives=("data",))}).tasks["only"]
    assert only.state == FAILED
    assert "failed to upload output artifact 'data'" in only.error


def test_output_artifacts_have_a_name_since_the_file_moved(run):
    only = task("print(artifact('outputs', 'data').get('name'))", gives=("data",))
    places = (TMP, TASK_ROOT)
    names = [the_log(run({"only": only}, output_file_place=place).check()) for place in places]
    assert names == ["None", "data"]


def test_a_missing_output_parameter_fails(run):
    result = run({"only": task(gives_parameters={"n": "NUMBER_INTEGER"})})
    assert "failed to read output parameter 'n' at '/tmp/kfp/outputs/n'" in (
        result.tasks["only"].error
    )


@pytest.mark.parametrize("scheme", ["minio", "s3", "gs"])
def test_folders_go_into_a_store_and_back(store, tmp_path, scheme):
    (tmp_path / "in" / "a" / "empty").mkdir(parents=True)
    (tmp_path / "in" / "a" / "file").write_text("1")
    (tmp_path / "in" / "link").symlink_to("a/file")
    uri = f"{scheme}://bucket/some/where"
    store.put(tmp_path / "in", uri)
    assert store.list(uri) == [f"{uri}/a/file", f"{uri}/link"]
    assert store.list(f"{scheme}://bucket/some/whe") == []
    out = store.copy_bucket(uri, tmp_path / "out")
    assert sorted(path.name for path in out.rglob("*")) == ["a", "file", "link"]
    store.delete(f"{uri}/a")
    assert store.list(uri) == [f"{uri}/link"]


def s3_client(store, checksums):
    return boto3.client(
        "s3",
        endpoint_url=store.endpoint,
        aws_access_key_id=store.secret["accesskey"],
        aws_secret_access_key=store.secret["secretkey"],
        region_name="us-east-1",
        config=Config(request_checksum_calculation=checksums),
    )


def test_refused_writes_are_as_of_s3(store):
    store.refuse_writes("s3://bucket/closed")
    client = s3_client(store, "when_required")
    with pytest.raises(ClientError, match=r"AccessDenied.*bucket's policy"):
        client.put_object(Bucket="bucket", Key="closed/file", Body=b"")
    client.put_object(Bucket="bucket", Key="open/file", Body=b"")
    assert store.list("s3://bucket") == ["s3://bucket/open/file"]


def test_what_few_stores_but_amazons_take_is_refused(store):
    client = s3_client(store, "when_supported")
    with pytest.raises(ClientError, match="NotImplemented"):
        client.put_object(Bucket="bucket", Key="file", Body=b"")
    with pytest.raises(ClientError, match="MissingContentMD5"):
        client.delete_objects(Bucket="bucket", Delete={"Objects": [{"Key": "file"}]})


def stock_tfx(executor, **specified):
    entry_point = "tfx.orchestration.kubeflow.v2.container.kubeflow_v2_run_executor"
    command = [sys.executable, "-m", entry_point, "--json_serialized_inputs_spec_args", "{}"]
    command += ["--executor_class_path", executor, "--json_serialized_invocation_args"]
    return task(command=command, gives=("schema",), **specified)


@pytest.mark.slow
def test_stock_tfx_dies_of_an_input_without_a_type(run):
    schema_gen = "tfx.components.schema_gen.executor.Executor"
    after = stock_tfx(schema_gen, takes={"statistics": ("before", "statistics")})
    result = run({"before": task(gives=("statistics",)), "after": after})
    assert result.states == {"before": SUCCEEDED, "after": FAILED}
    error = result.tasks["after"].error
    assert "AttributeError: 'NoneType' object has no attribute 'get'" in error


@pytest.mark.slow
def test_stock_tfx_cannot_write_to_minio(run):
    """It comes further than the above, since it has no input."""
    schema = Path(__file__).parents[2] / "pipeline" / "schema.pbtxt"
    given = {"schema_file": ("STRING", {"runtimeValue": {"constant": str(schema)}})}
    executor = "tfx.components.schema_gen.import_schema_gen.executor.Executor"
    result = run({"only": stock_tfx(executor, parameters=given)})
    assert "File system scheme 'minio' not implemented" in result.tasks["only"].error
