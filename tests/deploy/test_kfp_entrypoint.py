"""The entry point's own steps; tests/kubeflow/ runs it as the launcher does."""

import json

import pytest

from deploy import kfp_entrypoint, object_store

MODEL = {"instanceSchema": "title: tfx.Model\ntype: object\n"}
SPEC = {"artifacts": {"model": {"artifactType": MODEL}}}


def artifact(uri: str, **fields) -> dict:
    return {"artifacts": [{"name": "1", "uri": uri, **fields}]}


def invocation(inputs=None, outputs=None, parameters=None) -> dict:
    return {
        "inputs": {"artifacts": inputs or {}, "parameterValues": parameters or {}},
        "outputs": {"artifacts": outputs or {}, "outputFile": "unused"},
    }


@pytest.mark.parametrize(
    "told",
    [
        {},
        {"type": {}},
        {"type": {"instanceSchema": ""}},
        {"type": {"schemaTitle": MODEL["instanceSchema"]}},  # the launcher after 2.17
    ],
)
def test_input_has_the_type_that_the_component_declares(told):
    given = invocation({"model": artifact("gs://b/m", **told)})
    kfp_entrypoint.fill_types(given, SPEC)
    [model] = given["inputs"]["artifacts"]["model"]["artifacts"]
    assert model["type"] == MODEL


def test_output_of_a_type_that_tfx_does_not_know_is_a_file_to_it():
    title = {"schemaTitle": "system.HTML", "schemaVersion": "0.0.1"}
    given = invocation(outputs={"page": artifact("gs://b/p", type=title)})
    kfp_entrypoint.fill_types(given, SPEC)
    [page] = given["outputs"]["artifacts"]["page"]["artifacts"]
    assert page["type"] == {"schemaTitle": "tfx.File"}


@pytest.fixture
def pod(tmp_path, monkeypatch):
    """The launcher's folders, below the test's own."""
    folders = {"minio://": f"{tmp_path}/minio/", "gs://": f"{tmp_path}/gcs/"}
    monkeypatch.setattr("components.push.launcher_paths.FOLDERS", folders)
    return tmp_path


def test_artifacts_are_where_the_launcher_keeps_them_and_outputs_have_their_folders(pod):
    given = invocation(
        {"model": artifact("minio://b/runs/m")}, {"examples": artifact("minio://b/runs/x")}
    )
    kfp_entrypoint.localize(given, keep_google=False)
    [model] = given["inputs"]["artifacts"]["model"]["artifacts"]
    [examples] = given["outputs"]["artifacts"]["examples"]["artifacts"]
    assert model["uri"] == f"{pod}/minio/b/runs/m"
    assert examples["uri"] == f"{pod}/minio/b/runs/x"
    assert not (pod / "minio/b/runs/m").exists()
    assert (pod / "minio/b/runs/x").is_dir()


def test_output_that_is_one_value_is_a_file_to_be_written(pod):
    given = invocation(outputs={"fingerprint": artifact("minio://b/runs/f")})
    given["outputs"]["parameters"] = {"fingerprint": {"outputFile": "/tmp/f"}}
    kfp_entrypoint.localize(given, keep_google=False)
    assert (pod / "minio/b/runs").is_dir()
    assert not (pod / "minio/b/runs/f").exists()


@pytest.mark.parametrize("keep", [True, False])
def test_googles_store_is_left_to_workers_on_other_machines(pod, keep):
    given = invocation({"model": artifact("gs://b/m")}, {"examples": artifact("gs://b/x")})
    kfp_entrypoint.localize(given, keep_google=keep)
    [model] = given["inputs"]["artifacts"]["model"]["artifacts"]
    [examples] = given["outputs"]["artifacts"]["examples"]["artifacts"]
    assert model["uri"] == ("gs://b/m" if keep else f"{pod}/gcs/b/m")
    assert examples["uri"] == ("gs://b/x" if keep else f"{pod}/gcs/b/x")
    assert (pod / "gcs/b/x").is_dir()  # the launcher looks there all the same


def test_data_that_beam_cannot_read_are_downloaded(monkeypatch):
    downloads = []
    monkeypatch.setattr(object_store, "download", lambda *args: downloads.append(args))
    for data, read_at in (("minio://b/d", "/x"), ("s3://b/d", "/x"), ("gs://b/d", "gs://b/d")):
        given = invocation(parameters={"input_base": data})
        kfp_entrypoint.stage_data(given, "/x")
        assert given["inputs"]["parameterValues"]["input_base"] == read_at
    assert downloads == [("minio://b/d", "/x"), ("s3://b/d", "/x")]


def test_driver_finds_span_and_fingerprint_and_they_stay_with_the_examples(tmp_path):
    (tmp_path / "data" / "span-7").mkdir(parents=True)
    (tmp_path / "data" / "span-7" / "part").write_bytes(b"12345")
    splits = {"splits": [{"name": "train", "pattern": "span-{SPAN}/*"}]}
    examples = {"type": {"instanceSchema": "title: tfx.Examples\ntype: object\n"}}
    given = invocation(
        outputs={"examples": artifact("gs://b/x", **examples)},
        parameters={
            "input_base": str(tmp_path / "data"),
            "input_config": json.dumps(splits),
            "output_config": "{}",
            "output_data_format": 6,
            "output_file_format": 5,
        },
    )
    given["outputs"]["outputFile"] = str(tmp_path / "output.json")
    parameters = {
        name: {"parameterType": "NUMBER_INTEGER" if name.endswith("_format") else "STRING"}
        for name in given["inputs"]["parameterValues"]
    }
    kfp_entrypoint.run_driver(given, {"parameters": parameters})
    [found] = given["outputs"]["artifacts"]["examples"]["artifacts"]
    assert found["metadata"]["custom:span"] == 7
    assert "num_files:1,total_bytes:5" in found["metadata"]["input_fingerprint"]
    left = json.loads((tmp_path / "output.json").read_text())["parameterValues"]
    assert "span-7/*" in left["input_config"]  # for TFX's entry point, which reads it there


def test_launcher_is_told_of_uris_and_of_nothing_that_it_refuses():
    written = {
        "artifacts": {
            "blessing": artifact(
                "/minio/b/runs/e",
                metadata={
                    "current_model": "/minio/b/runs/m",
                    "pushed_destination": "/models/fishnet",
                    "blessed": 1,
                    "nothing": None,
                },
            )
        },
        "parameterValues": {"span": 0, "fingerprint": "abc"},
    }
    given = invocation()
    given["outputs"]["parameters"] = {"fingerprint": {"outputFile": "/tmp/f"}}
    told = kfp_entrypoint.for_launcher(written, given)
    [blessing] = told["artifacts"]["blessing"]["artifacts"]
    assert blessing["uri"] == "minio://b/runs/e"
    assert blessing["metadata"] == {
        "current_model": "minio://b/runs/m",
        "pushed_destination": "/models/fishnet",
        "blessed": 1,
    }
    assert told["parameterValues"] == {"fingerprint": "abc"}


def test_workers_see_what_tfx_writes_beside_its_outputs():
    given = invocation(outputs={"examples": artifact("gs://b/runs/task/uuid/examples")})
    assert kfp_entrypoint.beside_outputs(given) == "gs://b/runs/task/uuid/output_metadata.json"
    assert kfp_entrypoint.beside_outputs(invocation()) == "unused"
