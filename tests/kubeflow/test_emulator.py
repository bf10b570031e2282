"""The emulation of Kubeflow itself, on hand-written pipelines."""

import json
import os
import sys
import time
from pathlib import Path

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from kubeflow.driver import TASK_ROOT, TMP
from kubeflow.emulator import (
    CACHED,
    FAILED,
    SKIPPED,
    SUCCEEDED,
    Cluster,
    Emulator,
    Image,
    Records,
    RefusedError,
    RunFailedError,
)
from kubeflow.launcher import expand
from kubeflow.specs import importer, pipeline, platforms, task, write

pytestmark = pytest.mark.usefixtures("pods")

ROOT = "minio://bucket/v2/artifacts"
CACHING = {"cachingOptions": {"enableCache": True}}
CONSTANT = {"runtimeValue": {"constant": 7}}


@pytest.fixture
def emulator(store, tmp_path):
    """Makes an Emulator of documents."""

    def make(*documents, root=ROOT, **options):
        file = write(tmp_path / "pipeline.yaml", *documents)
        return Emulator(file, store, root, tmp_path / "pods", **options)

    return make


@pytest.fixture
def run(emulator):
    """Runs tasks as a pipeline."""

    def run_tasks(tasks, parameters=None, **options):
        return emulator(pipeline(tasks), **options).run(parameters)

    return run_tasks


def the_log(result):
    return result.tasks["only"].log.strip()


# --- order, artifacts and parameters -----------------------------------------------------------


@pytest.mark.parametrize("root", [ROOT, "s3://bucket/root", "gs://bucket/root"])
def test_artifacts_are_handed_on_through_the_store(run, store, root):
    result = run(
        {
            "after": task(
                "print(read('model').joinpath('a/b').read_text())",
                takes={"model": ("before", "model")},
            ),
            "before": task(
                "write('model').joinpath('a').mkdir(parents=True);"
                "write('model').joinpath('a/b').write_text('weights')",
                gives=("model",),
            ),
        },
        root=root,
    ).check()
    assert list(result.tasks) == ["before", "after"]
    assert result.tasks["after"].log == "weights\n"
    uri = result.tasks["before"].artifacts["model"].uri
    assert uri.startswith(f"{root}/hand-written/{result.id}/before/")
    assert uri.endswith("/model")
    assert store.read(f"{uri}/a/b") == b"weights"


def test_tasks_run_after_those_they_name(run):
    tasks = {
        "a": task(dependentTasks=["b"]),
        "b": task(dependentTasks=["c"]),
        "c": task(),
    }
    assert list(run(tasks).check().tasks) == ["c", "b", "a"]


def test_an_output_may_be_a_file_or_missing(run, store):
    code = "write('file').write_text('1')"
    only = run({"only": task(code, gives=("file", "missing"))}).check().tasks["only"]
    assert store.read(only.artifacts["file"].uri) == b"1"
    assert store.list(only.artifacts["missing"].uri) == []


def test_empty_folders_are_lost(run):
    result = run(
        {
            "before": task(
                "write('data').joinpath('empty').mkdir(parents=True);"
                "write('data').joinpath('full').write_text('')",
                gives=("data",),
            ),
            "after": task("print(os.listdir(read('data')))", takes={"data": ("before", "data")}),
        }
    ).check()
    assert result.tasks["after"].log == "['full']\n"


def test_a_neighbour_with_a_longer_name_is_not_downloaded(run):
    result = run(
        {
            "before": task(
                "for key in ('model', 'model_run'): write(key).mkdir(parents=True),"
                "write(key).joinpath('file').write_text(key)",
                gives=("model", "model_run"),
            ),
            "after": task(
                "print(os.listdir(read('model').parent))", takes={"model": ("before", "model")}
            ),
        }
    ).check()
    assert result.tasks["after"].log == "['model']\n"


def test_inputs_have_no_type_and_a_number_for_a_name(run):
    result = run(
        {
            "before": task(
                "tell(artifacts={'data': {'artifacts': [{'metadata': "
                "{'flag': True, 'count': 3, 'text': 'x', 'list': [1]}}]}})",
                gives=("data",),
            ),
            "after": task(
                "print(json.dumps(artifact('inputs', 'data')))", takes={"data": ("before", "data")}
            ),
        }
    ).check()
    given = json.loads(result.tasks["after"].log)
    assert given["type"] == {"instanceSchema": ""}
    assert given["name"] == "1"
    metadata = given["metadata"]
    assert json.loads(metadata.pop("store_session_info"))["Provider"] == "minio"
    assert metadata == {
        "display_name": "data",
        "flag": 1,
        "count": 3,
        "text": "x",
        "list": {"list": [1]},
    }
    assert type(metadata["count"]) is int, "Go writes whole numbers without a point"


def test_outputs_keep_their_type(run):
    only = run({"only": task("print(artifact('outputs', 'data')['type'])", gives=("data",))})
    assert the_log(only) == str({"instanceSchema": "title: tfx.Data\ntype: object\n"})


def test_parameters_come_from_everywhere(emulator):
    spec = pipeline(
        {
            "before": task("print(parameter('number'), parameter('default'), parameter('text'));"
                           "tell(parameterValues={'told': 2.5});"
                           "Path(given['outputs']['parameters']['written']['outputFile'])"
                           ".write_text(' 41 ')",
                           parameters={"number": ("NUMBER_INTEGER", CONSTANT),
                                       "default": ("STRING", {"componentInputParameter": "d"}),
                                       "text": ("STRING", CONSTANT)},
                           gives_parameters={"told": "NUMBER_DOUBLE",
                                             "written": "NUMBER_INTEGER"}),
            "after": task("print(given['inputs']['parameterValues'])", parameters={
                name: (kind, {"taskOutputParameter": {
                    "producerTask": "before", "outputParameterKey": name}})
                for name, kind in (("told", "NUMBER_DOUBLE"), ("written", "NUMBER_INTEGER"))}),
        },
        {"d": {"parameterType": "STRING", "defaultValue": "by default"}},
    )  # fmt: skip
    result = emulator(spec).run().check()
    assert list(result.tasks) == ["before", "after"]
    assert result.tasks["before"].log == "7 by default 7\n"
    assert result.tasks["before"].parameters == {"told": 2.5, "written": 41}
    assert json.loads(result.tasks["after"].log.replace("'", '"')) == {"told": 2.5, "written": 41}
    assert emulator(spec).run({"d": "given"}).tasks["before"].log == "7 given 7\n"


def test_a_parameter_of_another_type_fails_in_the_driver(run):
    only = task(parameters={"flag": ("BOOLEAN", CONSTANT)})
    result = run({"only": only}).tasks["only"]
    assert (result.state, result.attempts) == (FAILED, [])
    assert "type mismatch" in result.error


def test_placeholders_other_than_the_whole_input(run):
    command = [
        "echo", "{{$.inputs.parameters['n']}}", "{{$.outputs.artifacts['x'].uri}}",
        "{{$.outputs.artifacts['x'].path}}", "$(WORD)", "$(UNKNOWN)", "$$(WORD)",
    ]  # fmt: skip
    only = task(command=command, parameters={"n": ("NUMBER_INTEGER", CONSTANT)}, gives=("x",),
                env={"WORD": "said"})  # fmt: skip
    result = run({"only": only}).check()
    uri = result.tasks["only"].artifacts["x"].uri
    words = the_log(result).split()[:6]
    path = uri.replace("minio://", "/minio/")
    assert words == ["7", uri, path, "said", "$(UNKNOWN)", "$(WORD)"]


def test_dollars_in_parameters_are_kubernetes_to_expand():
    assert expand("a$$b $(X) $(Y) $X", {"X": "1"}) == "a$b 1 $(Y) $X"


def test_without_a_command_the_first_argument_is_the_program(run):
    only = task(command=["--executor_class_path"])
    result = run({"only": only}).tasks["only"]
    assert (result.state, result.exit_code) == (FAILED, 1)
    assert '"--executor_class_path": executable file not found' in result.error


def test_an_importer_hands_on_what_is_there(emulator, store):
    store.write("s3://bucket/data/file", b"there")
    reader = "print(read('data').joinpath('file').read_text(), artifact('inputs', 'data')['name'])"
    spec = pipeline(
        {
            "constant": importer({"constant": "s3://bucket/data"}, "examples"),
            "parameter": importer(
                {"runtimeParameter": "uri"}, "examples",
                inputs={"parameters": {"uri": {"componentInputParameter": "place"}}},
            ),
            "one": task(reader, takes={"data": ("constant", "examples")}),
            "two": task(reader, takes={"data": ("parameter", "examples")}),
        },
        {"place": {"parameterType": "STRING"}},
    )  # fmt: skip
    result = emulator(spec).run({"place": "s3://bucket/data"}).check()
    assert result.tasks["one"].log == result.tasks["two"].log == "there 1\n"


# --- the file that the container writes --------------------------------------------------------


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


# --- pods --------------------------------------------------------------------------------------


def test_nothing_of_the_machine_is_in_the_environment(run, monkeypatch):
    monkeypatch.setenv("FROM_THE_TEST", "1")
    image = Image(environment={"PATH": os.defpath, "HOME": "/nowhere"})
    only = task("print(json.dumps(dict(os.environ)))", env={"SAID": "yes"})
    environment = json.loads(the_log(run({"only": only}, image=image).check()))
    assert "FROM_THE_TEST" not in environment
    assert (environment["HOME"], environment["SAID"]) == ("/nowhere", "yes")
    assert {"KFP_POD_NAME", "AWS_ENDPOINT_URL"} <= set(environment)
    assert "AWS_ACCESS_KEY_ID" not in environment


def test_a_pod_is_fresh_and_only_its_own_folders_are_writable(run, tmp_path):
    (tmp_path / "of-the-test").touch()
    code = f"""
assert not Path({str(tmp_path)!r}).exists(), "the test's own folders are in /tmp"
for place in ("/tmp", "/minio", "/s3", "/gcs", "/.cache", "/.local", "/dev/shm"):
    file = Path(place, "left-behind")
    assert not file.exists(), file
    file.touch()
for place in ("/", "/usr", "/etc", "/var/tmp", "/home", "/kfp"):
    try:
        Path(place, "left-behind").touch()
    except OSError as error:
        continue
    raise AssertionError(place)
"""
    run({"one": task(code), "two": task(code, dependentTasks=["one"])}).check()
    for place in ("/", "/tmp", "/dev/shm", "/minio", "/s3"):
        assert not Path(place, "left-behind").exists()
    assert not any((tmp_path / "pods").rglob("left-behind"))


def test_what_a_task_leaves_running_ends_with_its_pod(emulator, tmp_path):
    claim = tmp_path / "claim"
    claim.mkdir()
    code = """
import subprocess
subprocess.Popen(["sh", "-c", "touch /mnt/data/soon; sleep 0.5; touch /mnt/data/late"])
while not Path("/mnt/data/soon").exists():
    pass
"""
    settings = platforms(only={"pvcMount": [{"constant": "data", "mountPath": "/mnt/data"}]})
    spec = pipeline({"only": task(code)})
    emulator(spec, settings, cluster=Cluster(claims={"data": claim})).run().check()
    time.sleep(1)
    assert [file.name for file in claim.iterdir()] == ["soon"]


def test_the_platforms_document(emulator, tmp_path):
    claim = tmp_path / "claim"
    (claim / "inner").mkdir(parents=True)
    (claim / "inner" / "file").write_text("of the claim")
    cluster = Cluster(
        secrets={"s3": {"key": "hidden"}},
        config_maps={"settings": {"a": "1"}},
        claims={"data": claim},
    )
    settings = {
        "secretAsEnv": [{"secretName": "s3", "keyToEnv": [{"secretKey": "key", "envVar": "K"}]}],
        "secretAsVolume": [{"secretName": "s3", "mountPath": "/etc/secret"}],
        "configMapAsVolume": [{"configMapName": "settings", "mountPath": "/etc/settings"}],
        "pvcMount": [{"constant": "data", "mountPath": "/mnt/data"}],
        "emptyDirMounts": [
            {"volumeName": "e", "mountPath": "/scratch", "sizeLimit": "1Gi"},
            {"volumeName": "m", "mountPath": "/dev/shm", "medium": "Memory", "sizeLimit": "1Gi"},
        ],
        "nodeSelector": {"labels": {"gpu": "yes"}},
    }
    code = """
print(os.environ["K"], Path("/etc/secret/key").read_text(), Path("/etc/settings/a").read_text())
print(Path("/mnt/data/inner/file").read_text(), os.statvfs("/dev/shm").f_blocks * 4096 >> 20)
Path("/mnt/data/new").write_text("kept")
Path("/scratch/new").write_text("lost")
"""
    spec = pipeline({"only": task(code)})
    result = emulator(spec, platforms(only=settings), cluster=cluster).run().check()
    assert the_log(result).splitlines() == ["hidden hidden 1", "of the claim 1024"]
    assert (claim / "new").read_text() == "kept"


@pytest.mark.parametrize(
    "settings",
    [
        {"secretAsEnv": [{"secretName": "s", "keyToEnv": [{"secretKey": "k", "envVar": "K"}]}]},
        {"secretAsVolume": [{"secretName": "s", "mountPath": "/etc/secret"}]},
        {"pvcMount": [{"constant": "s", "mountPath": "/mnt/data"}]},
    ],
)
def test_a_pod_that_refers_to_nothing_fails(emulator, settings):
    spec = pipeline({"only": task()})
    result = emulator(spec, platforms(only=settings)).run().tasks["only"]
    assert (result.state, result.attempts) == (FAILED, [])
    assert "'s' not found" in result.error


def test_an_image_with_a_user_and_folders_of_its_own(run, tmp_path):
    app = tmp_path / "app"
    app.mkdir()
    (app / "module.py").write_text("NAME = 'of the image'")
    code = """
sys.path.insert(0, ".")
import module
print(module.NAME, os.getuid(), os.getcwd(), os.listdir("/home"))
write("data").write_text("mine")
"""
    folders = {"/app": app}
    image = Image(working_folder="/app", user=1234, folders=folders, hidden=["/home"])
    if os.geteuid():
        pytest.skip("only root can run a pod as another user")
    result = run({"only": task(code, gives=("data",))}, image=image).check()
    assert the_log(result) == "of the image 1234 /app []"


# --- faults, retries ---------------------------------------------------------------------------


def test_a_task_that_fails_says_why_and_gives_nothing(run, store):
    code = "write('data').write_text('half'); sys.exit('no luck')"
    result = run({"only": task(code, gives=("data",)), "next": task(dependentTasks=["only"])})
    only = result.tasks["only"]
    assert result.states == {"only": FAILED, "next": SKIPPED}
    assert (only.exit_code, len(only.attempts), only.artifacts) == (1, 1, {})
    assert store.list(ROOT) == []
    with pytest.raises(RunFailedError, match="task only: exit status 1\nno luck"):
        result.check()


RETRIES = {"maxRetryCount": 3, "backoffDuration": "30s", "backoffFactor": 2.0}


def test_a_killed_task_is_tried_again_in_a_fresh_pod(run, store):
    def kill_the_first(pod):
        half = pod.host_path("/minio/bucket")
        while pod.attempt == 1 and "half" not in pod.log():
            time.sleep(0.01)
        if pod.attempt == 1:
            assert half.exists()
            pod.kill()

    code = """
write("data").mkdir()
write("data").joinpath(str(len(list(write("data").parent.iterdir())))).write_text("whole")
print("half", flush=True)
import time; time.sleep(0.3)
"""
    only = task(code, gives=("data",), retryPolicy=RETRIES)
    only = run({"only": only}, watch=kill_the_first).check().tasks["only"]
    assert [attempt.exit_code for attempt in only.attempts] == [137, 0]
    assert only.backoff_s == [30]
    assert store.list(only.artifacts["data"].uri) == [only.artifacts["data"].uri + "/1"]


def test_a_field_that_no_driver_reads_does_nothing(emulator):
    code = """print(os.statvfs("/dev/shm").f_blocks * 4096 >> 20)"""
    settings = {"enabledSharedMemory": {"volumeName": "m", "size": "1Gi"}}
    result = emulator(pipeline({"only": task(code)}), platforms(only=settings)).run().check()
    assert the_log(result).strip() == "64"


def test_retries_come_to_an_end(run):
    only = run({"only": task("sys.exit(3)", retryPolicy=RETRIES)}).tasks["only"]
    assert (only.state, only.backoff_s) == (FAILED, [30, 60, 120])
    assert [attempt.exit_code for attempt in only.attempts] == [3, 3, 3, 3]


@pytest.mark.parametrize(
    ("longest", "work_s", "waits"), [("100s", 0, [30, 60]), ("40s", 0, [30]), ("31s", 1.1, [])]
)
def test_the_longest_backoff_is_of_all_waits_and_attempts_together(run, longest, work_s, waits):
    policy = RETRIES | {"backoffMaxDuration": longest}
    code = f"import time; time.sleep({work_s}); sys.exit(3)"
    only = run({"only": task(code, retryPolicy=policy)}).tasks["only"]
    assert only.backoff_s == waits


def test_a_refused_write_fails_the_task_and_leaves_what_was_uploaded(run, store):
    store.refuse_writes(f"{ROOT}/hand-written/")
    code = "for key in 'ab': write(key).write_text(key)"
    tasks = {"only": task(code, gives=("a", "b"))}
    error = run(tasks).tasks["only"].error
    assert "failed to upload output artifact 'a' to remote storage URI" in error
    assert "AccessDenied" in error
    assert store.list(ROOT) == []
    store.allow_writes()
    run(tasks).check()


def test_code_in_a_pod_reaches_the_store(emulator, store):
    """With the credentials of a secret, at the endpoint that stands in the environment."""
    cluster = Cluster(secrets={"s3": store.secret})
    keys = {"accesskey": "AWS_ACCESS_KEY_ID", "secretkey": "AWS_SECRET_ACCESS_KEY"}
    pairs = [{"secretKey": key, "envVar": name} for key, name in keys.items()]
    settings = {"secretAsEnv": [{"secretName": "s3", "keyToEnv": pairs}]}
    code = "import boto3; boto3.client('s3').put_object(Bucket='bucket', Key='k', Body=b'v')"
    only = task(code, env={"AWS_REQUEST_CHECKSUM_CALCULATION": "when_required"})
    documents = pipeline({"only": only}), platforms(only=settings)
    emulator(*documents, cluster=cluster).run().check()
    assert store.read("s3://bucket/k") == b"v"


def test_a_task_that_takes_too_long_is_killed(run):
    only = run({"only": task("import time; time.sleep(60)")}, limit_s=0.5).tasks["only"]
    assert (only.state, only.exit_code) == (FAILED, 137)
    assert only.seconds < 10


# --- the cache ---------------------------------------------------------------------------------


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


# --- what Kubeflow refuses ---------------------------------------------------------------------


def test_a_json_file_is_refused(store, tmp_path):
    """What TFX writes to .json is a PipelineJob, for Vertex AI."""
    job = {"displayName": "x", "pipelineSpec": pipeline({"only": task()}), "runtimeConfig": {}}
    file = tmp_path / "pipeline.json"
    file.write_text(json.dumps(job))
    with pytest.raises(RefusedError, match="unknown template format"):
        Emulator(file, store, ROOT, tmp_path / "pods")


def set_schema(spec):
    spec["schemaVersion"] = "2.0.0"


def set_resolver(spec):
    executor = {"resolver": {"outputArtifactQueries": {"x": {"filter": "state=LIVE"}}}}
    spec["deploymentSpec"]["executors"]["exec-only"] = executor


def set_unknown_field(spec):
    spec["deploymentSpec"]["executors"]["exec-only"]["container"]["environment"] = []


def set_name(spec):
    tasks = spec["root"]["dag"]["tasks"]
    tasks["no.dots"] = tasks.pop("only")


def set_missing_producer(spec):
    source = {"taskOutputParameter": {"producerTask": "only_task", "outputParameterKey": "n"}}
    spec["root"]["dag"]["tasks"]["only"]["inputs"]["parameters"]["n"] = source


def set_missing_executor(spec):
    spec["components"]["comp-only"]["executorLabel"] = "another"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (set_schema, "KFP only supports schema version 2.1.0"),
        (set_resolver, "non-container and non-importer executor not implemented"),
        (set_unknown_field, "invalid deploymentSpec"),
        (set_name, "must consist of alpha-numeric"),
        (set_missing_producer, "cannot find producer task.*only_task"),
        (set_missing_executor, "not found in deployment config"),
    ],
)
def test_pipelines_that_are_refused(emulator, change, message):
    spec = pipeline({"only": task()})
    change(spec)
    with pytest.raises(RefusedError, match=message):
        emulator(spec)


@pytest.mark.parametrize(
    ("documents", "message"),
    [
        ([platforms(only={"secretAsEnvironment": []})], "unknown Kubernetes settings"),
        ([platforms(other={"pvcMount": []})], "executors that are not there"),
        ([platforms(), platforms()], "multiple platform specs"),
        ([{"platform": {}}], "neither a pipeline nor a platforms document"),
        ([pipeline({"only": task()})], "multiple pipeline specs"),
    ],
)
def test_platforms_documents_that_are_refused(emulator, documents, message):
    with pytest.raises(RefusedError, match=message):
        emulator(pipeline({"only": task()}), *documents)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({}, "parameter n is not optional, yet has neither default value nor user provided value"),
        ({"n": "7"}, "n requires a number"),
        ({"n": 7, "m": 1}, r"not required by pipeline: \['m'\]"),
    ],
)
def test_parameters_that_are_refused(emulator, parameters, message):
    spec = pipeline({"only": task()}, {"n": {"parameterType": "NUMBER_INTEGER"}})
    with pytest.raises(RefusedError, match=message):
        emulator(spec).run(parameters)


# --- the object store --------------------------------------------------------------------------


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


# --- why TFX needs an entry point of our own ---------------------------------------------------


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
