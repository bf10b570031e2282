"""The emulated cache: when a task is taken from it."""

import pytest
from kubeflow.emulator import (
    CACHED,
    FAILED,
    SUCCEEDED,
    Cluster,
    Records,
)
from kubeflow.specs import pipeline, platforms, task

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("pods")]

CACHING = {"cachingOptions": {"enableCache": True}}
CONSTANT = {"runtimeValue": {"constant": 7}}


def test_a_changed_file_in_the_same_folder_is_a_cache_hit(emulator, store, tmp_path):
    """So whatever reads a folder needs a fingerprint of its files among its parameters."""
    (tmp_path / "data").mkdir()
    options = {"records": Records(), "cluster": Cluster(claims={"data": tmp_path / "data"})}
    place = {"folder": ("STRING", {"runtimeValue": {"constant": "/mnt/data"}})}
    code = "write('examples').write_text(Path('/mnt/data/file').read_text())"
    reader = task(code, parameters=place, gives=("examples",), **CACHING)
    document = platforms(reader={"pvcMount": [{"constant": "data", "mountPath": "/mnt/data"}]})
    user = task(takes={"e": ("reader", "examples")}, **CACHING)
    spec = pipeline({"reader": reader, "user": user})
    (tmp_path / "data" / "file").write_text("first")
    first = emulator(spec, document, **options).run().check()
    (tmp_path / "data" / "file").write_text("second")
    again = emulator(spec, document, **options).run().check()
    assert first.states == {"reader": SUCCEEDED, "user": SUCCEEDED}
    assert again.states == {"reader": CACHED, "user": CACHED}
    assert again.tasks["reader"].attempts == []
    assert again.tasks["reader"].artifacts == first.tasks["reader"].artifacts
    assert store.read(again.tasks["reader"].artifacts["examples"].uri) == b"first"


def with_other_parameter(spec):
    spec["root"]["dag"]["tasks"]["only"]["inputs"]["parameters"]["n"] = {
        "runtimeValue": {"constant": 8}
    }


def with_other_image(spec):
    spec["deploymentSpec"]["executors"]["exec-only"]["container"]["image"] = "image@sha256:2"


def with_other_argument(spec):
    spec["deploymentSpec"]["executors"]["exec-only"]["container"]["args"].append("more")


def with_other_output_type(spec):
    artifacts = spec["components"]["comp-only"]["outputDefinitions"]["artifacts"]
    artifacts["x"]["artifactType"]["instanceSchema"] = "title: other"


def with_other_pipeline(spec):
    spec["pipelineInfo"]["name"] = "other"


def with_caching_off(spec):
    del spec["root"]["dag"]["tasks"]["only"]["cachingOptions"]


def with_other_environment(spec):
    container = spec["deploymentSpec"]["executors"]["exec-only"]["container"]
    container["env"] = [{"name": "A", "value": "1"}]


@pytest.mark.parametrize(
    ("change", "state"),
    [
        (lambda spec: None, CACHED),
        (with_other_environment, CACHED),
        (with_other_parameter, SUCCEEDED),
        (with_other_image, SUCCEEDED),
        (with_other_argument, SUCCEEDED),
        (with_other_output_type, SUCCEEDED),
        (with_other_pipeline, SUCCEEDED),
        (with_caching_off, SUCCEEDED),
    ],
)
def test_what_the_cache_looks_at(emulator, change, state):
    given = {"n": ("NUMBER_INTEGER", CONSTANT)}
    spec = pipeline({"only": task(parameters=given, gives=("x",), **CACHING)})
    records = Records()
    emulator(spec, records=records).run().check()
    change(spec)
    assert emulator(spec, records=records).run().check().states == {"only": state}


def test_the_cache_looks_at_the_names_of_claims(emulator, tmp_path):
    cluster = Cluster(claims={"one": tmp_path, "two": tmp_path})
    spec = pipeline({"only": task(**CACHING)})
    records = Records()
    for claim, state in (("one", SUCCEEDED), ("one", CACHED), ("two", SUCCEEDED)):
        mounts = platforms(only={"pvcMount": [{"constant": claim, "mountPath": "/mnt/data"}]})
        result = emulator(spec, mounts, cluster=cluster, records=records).run().check()
        assert result.states == {"only": state}


def test_a_task_after_one_that_ran_again_runs_again(emulator):
    """Its input has another number, though the content may be the same."""
    spec = pipeline(
        {
            "before": task(gives=("x",)),
            "after": task(takes={"x": ("before", "x")}, **CACHING),
        }
    )
    records = Records()
    for _ in range(2):
        result = emulator(spec, records=records).run().check()
        assert result.states == {"before": SUCCEEDED, "after": SUCCEEDED}


def test_a_failure_is_not_cached(emulator, tmp_path):
    spec = pipeline({"only": task("sys.exit(1)", **CACHING)})
    records = Records()
    states = [emulator(spec, records=records).run().states["only"] for _ in range(2)]
    assert states == [FAILED, FAILED]
