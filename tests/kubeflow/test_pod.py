"""Pods of hand-written pipelines: what is in them, and what becomes of those that fail."""

import json
import os
import time
from pathlib import Path

import pytest
from kubeflow.emulator import (
    FAILED,
    SKIPPED,
    Cluster,
    Image,
    RunFailedError,
)
from kubeflow.specs import pipeline, platforms, task

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("pods")]

ROOT = "minio://bucket/v2/artifacts"


def the_log(result):
    return result.tasks["only"].log.strip()


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
