"""Runs that are killed, stopped, or get into each other's way."""

import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from commands import QUICK, read_until, run, start, versions, wait

from pipeline.nodes import NEVER_CACHED, NODES, REPORT
from served_model.versions import LOCK_FILE

# Against a model that these runs pushed before; whether it is any good is no matter here.
LENIENT = QUICK[2:]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def pair(folder):
    """Two runs at once, on two output folders, with the embedded data set yet to be written."""
    outputs = [folder / "output" / name for name in ("one", "two")]
    processes = [start(folder, "--output", str(output), *QUICK) for output in outputs]
    return [wait(process, output) for process, output in zip(processes, outputs, strict=True)]


@pytest.mark.slow
def test_two_runs_at_once(pair):
    for ended in pair:
        assert (ended.exit_code, ended.errors) == (0, "")
        assert ended.summary["verdict"] == "pushed"
        assert ended.versions() == [ended.summary["model_version"]]
        assert not ended.cached
        assert ended.summary["metrics"]["example_count"] == 360


@pytest.mark.slow
def test_killed_training_goes_on_from_the_last_checkpoint(folder, pair):
    """And while it goes on, another run on the same folder is refused and does not disturb it.

    The first run of all in this folder had another number of epochs.
    """
    output = pair[0].output
    before = versions(output)
    command = ["--output", str(output), *LENIENT, "--trainer.epochs", "4"]
    with start(folder, *command) as process:
        assert "epoch 1/4" in read_until(process, "epoch 3/4")
        process.kill()
    assert not (output / "summary.json").exists()  # the older run's would be taken for this one's
    assert versions(output) == before

    process = start(folder, *command)
    read_until(process, "Transform             cached")
    second = wait(start(folder, "--output", str(output)), output)
    assert second.exit_code == 1
    assert second.errors == (
        f"error: {output} is in use by another run; wait for it, or give another --output\n"
    )
    assert second.screen == ""

    ended = wait(process, output)
    assert (ended.exit_code, ended.errors) == (0, "")
    assert ended.summary["verdict"] == "pushed"
    # Of the changed number of epochs only the Trainer and what follows it are run anew.
    assert ended.cached == set(NODES[: NODES.index("Trainer")]) - set(NEVER_CACHED)
    epochs = re.findall(r"^epoch (\d)/4 step 22/22", ended.screen, re.MULTILINE)
    assert epochs in (["3", "4"], ["4"])  # as far as the kill let the third checkpoint come
    assert f"\nresumes after epoch {int(epochs[0]) - 1}\n" in ended.screen
    [pushed] = set(ended.versions()) - set(before)
    assert ended.summary["model_version"] == pushed
    assert ended.summary["thresholds"]["min_top1_gain"]["met"]  # over the pair's model
    assert not any((output / "checkpoints").iterdir())


@pytest.mark.slow
def test_ctrl_c(folder, pair):
    output = pair[1].output
    before = versions(output)
    # A shell that starts the tests in the background has them, and all they start, ignore Ctrl-C.
    prefix = ["env", "--default-signal=INT"]
    command = ["--output", str(output), *LENIENT, "--trainer.epochs", "1000"]
    process = start(folder, *command, prefix=prefix)
    read_until(process, "epoch 1/1000")
    process.send_signal(signal.SIGINT)
    ended = wait(process, output)
    assert (ended.exit_code, ended.errors) == (1, "")
    assert ended.summary["verdict"] == "failed"
    assert ended.summary["message"] == "interrupted; the same command goes on from here"
    assert "verdict    failed\n           interrupted" in ended.screen
    assert "Traceback" not in ended.screen
    assert ended.log.is_file()
    assert ended.versions() == before


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [0.0, 1.0, 2.0])
def test_ctrl_c_while_tensorflow_is_loading(tmp_path, seconds):
    process = start(tmp_path, "--dry-run", prefix=["env", "--default-signal=INT"])
    maps = Path(f"/proc/{process.pid}/maps")
    while "tensorflow" not in maps.read_text():
        time.sleep(0.05)
    time.sleep(seconds)
    process.send_signal(signal.SIGINT)
    ended = wait(process, tmp_path)
    assert (ended.exit_code, ended.errors, ended.screen) == (1, "", "interrupted\n")


@pytest.mark.slow
@pytest.mark.skipif(" " in sys.executable, reason="told before anything runs there")
def test_failure_inside_a_component_names_the_log(tmp_path):
    mode = "--beam.args=--direct_running_mode=multi_processing"
    ended = run(tmp_path, mode, "--beam.args=--direct_num_workers=-1")  # which Beam takes at first
    assert (ended.exit_code, ended.errors) == (1, "")
    assert ended.summary["verdict"] == "failed"
    assert "verdict    failed" in ended.screen
    assert ended.summary["message"].startswith("ImportExampleGen: IndexError: ")
    assert ended.summary["message"].splitlines()[0] in ended.screen
    assert "Traceback" not in ended.screen
    assert "Traceback" in ended.log.read_text("utf-8")
    assert set(ended.summary["components"]) == {"CuratedSchema", REPORT}
    assert ended.versions() == []


@pytest.mark.slow
def test_full_disk_under_the_served_models(folder, pair):
    """The serving folder is, for this one process, a file system smaller than the model."""
    output = pair[1].output
    mount = 'mount -t tmpfs -o size=256k full "$0"'
    unshare = ["unshare", "--map-root-user", "--mount", "sh", "-c"]
    serving = str(output / "serving")
    if subprocess.run([*unshare, mount, serving], capture_output=True).returncode:
        pytest.skip("needs the right to mount in a namespace of its own")
    find = f'find "$0" -type f ! -name {LOCK_FILE} -printf "left behind: %p\\n"'
    script = f'{mount} && "$@"; code=$?; {find}; exit $code'
    process = start(folder, "--output", str(output), *QUICK, prefix=[*unshare, script, serving])
    ended = wait(process, output)
    assert (ended.exit_code, ended.errors) == (1, "")
    assert ended.summary["verdict"] == "failed"
    assert "No space left on device" in ended.summary["message"]
    assert "No space left on device" in ended.screen
    assert "left behind" not in ended.screen
    assert "Evaluator" in ended.summary["components"]
