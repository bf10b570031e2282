"""The compiled pipeline on Kubeflow Pipelines: from data in a bucket to a pushed model.

The tests share one Kubeflow and go on in it, in the order in which they stand here.
"""

import dataclasses
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from commands import ROOT, run
from kubeflow.emulator import (
    CACHED,
    FAILED,
    SKIPPED,
    SUCCEEDED,
    TASK_ROOT,
    TMP,
    Cluster,
    Emulator,
    Image,
    ObjectStore,
    Records,
    Run,
)

from components.tune.trials import TRIALS_FILE
from dataset import record
from pipeline.kubeflow.settings import CLUSTER_NODES
from pipeline.nodes import NEVER_CACHED, TUNER
from served_model import interface
from served_model.receipt import RECEIPT_FILE, Receipt

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("pods")]

BUCKET = "minio://mlpipeline"
DATA, PIPELINE_ROOT, SERVING = f"{BUCKET}/digits", f"{BUCKET}/fishnet", f"{BUCKET}/serving/fishnet"
IMAGE = f"registry/fishnet@sha256:{'0' * 64}"

EPOCHS = 3
CONFIG = ("--preset", "digits", "--evaluator.min_top1", "0.5")
# Two trials, of values that hardly matter in so few epochs.
SEARCH = ("--tuner.enable", "True", "--tuner.epochs", "1", "--tuner.learning_rates")
SEARCH += ("--tuner.weight_decays", "1e-5", "2e-5")
NODES = (*CLUSTER_NODES, TUNER)

# The image's, as deploy/Dockerfile sets it.
ENVIRONMENT = {
    "PATH": f"{Path(sys.executable).parent}:{os.defpath}",
    "HOME": "/tmp",
    "KERAS_BACKEND": "tensorflow",
    "TF_USE_LEGACY_KERAS": "0",
    "TF_ENABLE_ONEDNN_OPTS": "1",
}

# The champion is another artifact in each run, so Evaluator looks again.
LOOK_ANEW = {*NEVER_CACHED, "Evaluator"}


@dataclasses.dataclass
class Kubeflow:
    """A Kubeflow with the pipeline compiled for it.

    Attributes:
        folder: For what the tests write on this machine.
        store: Its object store.
        records: Its record of artifacts, and its cache.
    """

    folder: Path
    store: ObjectStore
    records: Records = dataclasses.field(default_factory=Records)

    def compile(self) -> Path:
        """Compiles the pipeline by the user's command."""
        file = self.folder / "pipeline.yaml"
        places = ("--pipeline-root", PIPELINE_ROOT, "--data", DATA, "--push-destination", SERVING)
        endpoint = f"AWS_ENDPOINT_URL={self.store.endpoint}"
        flags = (*CONFIG, *SEARCH, *places, "--cluster.environment", endpoint)
        command = ("compile", "--image", IMAGE, *flags, "--output", str(file))
        subprocess.run([sys.executable, ROOT / "kubeflow_runner.py", *command], check=True)
        return file

    def run(
        self, place: str = TASK_ROOT, watch: Callable | None = None, epochs: int = EPOCHS
    ) -> Run:
        """Runs the compiled pipeline."""
        emulator = Emulator(
            self.folder / "pipeline.yaml",
            self.store,
            PIPELINE_ROOT,
            self.folder / "pods",
            output_file_place=place,
            image=Image(environment=ENVIRONMENT, working_folder=str(ROOT)),
            cluster=Cluster(secrets={"mlpipeline-minio-artifact": self.store.secret}),
            records=self.records,
            watch=watch,
        )
        return emulator.run({"epochs": epochs})

    def write_data(self, *flags: str) -> Path:
        """Has the data folder of the bucket hold the digits, as dataprep writes them."""
        folder = self.folder / f"digits{len(list(self.folder.glob('digits*')))}"
        command = [sys.executable, "-m", "dataprep", "digits", "--output", folder, *flags]
        subprocess.run(command, cwd=ROOT, check=True)
        self.store.delete(DATA)
        self.store.put(folder, DATA)
        return folder

    def versions(self) -> list[str]:
        """The versions that a server would load."""
        uris = [u for u in self.store.list(SERVING) if u.endswith("/saved_model.pb")]
        return sorted(uri.split("/")[-2] for uri in uris)

    def receipt(self, version: str) -> Receipt:
        """A version's receipt."""
        return Receipt.from_json(self.store.read(f"{SERVING}/{version}/{RECEIPT_FILE}").decode())


@pytest.fixture(scope="module")
def kubeflow(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kubeflow")
    with ObjectStore(folder / "gs") as store:
        store.create_bucket(BUCKET)
        kubeflow = Kubeflow(folder, store)
        kubeflow.compile()
        yield kubeflow


@pytest.fixture(scope="module")
def data(kubeflow) -> Path:
    return kubeflow.write_data()


@pytest.fixture(scope="module")
def first(kubeflow, data) -> Run:
    """The first run: Pusher is killed while it uploads, then refused by the store, then pushes."""

    def disturb_pusher(pod) -> None:
        if pod.task != "Pusher":
            return
        kubeflow.store.allow_writes()
        if pod.attempt == 2:
            kubeflow.store.refuse_writes(SERVING)
        while pod.attempt == 1 and pod.process.poll() is None:
            if any("/variables/" in uri for uri in kubeflow.store.list(SERVING)):
                pod.kill()
            time.sleep(0.001)

    return kubeflow.run(watch=disturb_pusher).check()


def test_every_task_runs_in_a_pod_of_its_own(first):
    assert first.states == dict.fromkeys(NODES, SUCCEEDED)


def test_task_that_died_half_way_is_started_again_and_what_it_left_does_no_harm(first, kubeflow):
    killed, _, again = first.tasks["Pusher"].attempts
    assert (killed.exit_code, again.exit_code) == (128 + 9, 0)
    [version] = kubeflow.versions()
    pushed_model = first.tasks["Pusher"].artifacts["pushed_model"]
    assert pushed_model.metadata["pushed_destination"] == f"{SERVING}/{version}"
    receipt = kubeflow.receipt(version)
    assert receipt.model_uri.startswith(f"{PIPELINE_ROOT}/")
    assert (receipt.pipeline, receipt.run) == ("fishnet", first.id)


def test_metrics_are_those_of_a_local_run_with_the_same_seed(first, kubeflow, data, tmp_path):
    flags = ("--data", str(data), *CONFIG, *SEARCH, "--trainer.epochs", str(EPOCHS))
    local = run(tmp_path, *flags)
    assert local.exit_code == 0, local.errors
    metrics = {k: v for k, v in local.summary["metrics"].items() if k != "slices"}
    [version] = kubeflow.versions()
    assert kubeflow.receipt(version).metrics == metrics


def test_pushed_model_answers_with_the_names_of_labels_txt(first, kubeflow, data, tmp_path):
    import tensorflow as tf

    [version] = kubeflow.versions()
    kubeflow.store.get(f"{SERVING}/{version}", tmp_path / version)
    shards = sorted(map(str, (data / "val").iterdir()))
    records = [tf.train.Example.FromString(r.numpy()) for r in tf.data.TFRecordDataset(shards)]
    features = [example.features.feature for example in records]
    images = [feature[record.IMAGE].bytes_list.value[0] for feature in features]
    labels = [feature[record.LABEL].int64_list.value[0] for feature in features]
    with tf.compat.v1.Session(graph=tf.Graph()) as session:
        loaded = tf.compat.v1.saved_model.load(session, ["serve"], str(tmp_path / version))
        signature = loaded.signature_def[interface.SERVING_DEFAULT]
        classes = session.run(
            signature.outputs[interface.CLASSES].name,
            {signature.inputs["image_bytes"].name: images},
        )
    names = (data / "labels.txt").read_text().splitlines()
    wanted = np.array([names[label - record.LABEL_BASE].encode() for label in labels], object)
    top1 = np.mean(classes[:, 0] == wanted)
    assert top1 == pytest.approx(kubeflow.receipt(version).metrics["top1"])


def test_trainer_takes_the_best_values_of_the_search(first, kubeflow):
    results = first.tasks[TUNER].artifacts["tuner_results"]
    best, other = json.loads(kubeflow.store.read(f"{results.uri}/{TRIALS_FILE}"))
    decays = [trial["values"]["trainer.weight_decay"] for trial in (best, other)]
    assert sorted(decays) == [1e-5, 2e-5]
    assert best["val_top1"] >= other["val_top1"]
    found = first.tasks[TUNER].artifacts["best_hyperparameters"]
    written = json.loads(kubeflow.store.read(f"{found.uri}/best_hyperparameters.txt"))
    assert written["values"] == best["values"]
    inputs = first.tasks["Trainer"].executor_input["inputs"]["artifacts"]
    [taken] = inputs["hyperparameters"]["artifacts"]
    assert taken["uri"] == found.uri
    log = first.tasks["Trainer"].log
    assert f"by the Tuner: trainer.weight_decay {best['values']['trainer.weight_decay']}" in log
    assert f"epoch {EPOCHS}/{EPOCHS} step 22/22 loss" in log


def test_span_and_fingerprint_of_the_data_stay_with_the_examples(first):
    examples = first.tasks["ImportExampleGen"].artifacts["examples"]
    assert examples.metadata["custom:span"] == 0
    assert examples.metadata["input_fingerprint"].startswith("split:train,num_files:4,")


def test_what_evaluator_says_of_the_model_holds_outside_the_pod(first):
    blessing = first.tasks["Evaluator"].artifacts["blessing"]
    model = first.tasks["Trainer"].artifacts["model"]
    assert blessing.metadata["current_model"] == model.uri
    assert blessing.metadata["current_model_id"] == str(model.id)


def test_unchanged_run_takes_all_from_the_cache_and_pushes_nothing(first, kubeflow):
    before = kubeflow.store.list(SERVING)
    again = kubeflow.run().check()
    looked = {name for name, state in again.states.items() if state == SUCCEEDED}
    assert looked == LOOK_ANEW
    assert {again.states[name] for name in set(NODES) - LOOK_ANEW} == {CACHED}
    assert again.tasks["Pusher"].artifacts["pushed_model"].metadata["unchanged"] == 1
    assert kubeflow.store.list(SERVING) == before


def test_store_that_refuses_the_push_fails_the_task_with_its_reason(first):
    _, refused, _ = first.tasks["Pusher"].attempts
    assert refused.exit_code == 1
    assert "PermissionError: Access Denied by the bucket's policy" in refused.log


def test_worse_model_is_not_pushed(first, kubeflow):
    """By the launcher of older releases; and a pod in the midst of its work is lost."""
    served = kubeflow.store.list(SERVING)

    def kill_while_it_works(pod) -> None:
        while pod.task == "StatisticsGen" and pod.attempt == 1 and pod.process.poll() is None:
            if "Starting executor" in pod.log():
                pod.kill()
            time.sleep(0.05)

    worse = kubeflow.run(TMP, kill_while_it_works, epochs=1).check()
    assert worse.states == dict.fromkeys(NODES, SUCCEEDED)
    assert len(worse.tasks["StatisticsGen"].attempts) == 2
    blessing = worse.tasks["Evaluator"].artifacts["blessing"].metadata
    assert blessing["blessed"] == 0
    assert blessing["baseline_model"] == worse.tasks["Champion"].artifacts["model"].uri
    assert worse.tasks["Pusher"].artifacts["pushed_model"].metadata["pushed"] == 0
    assert kubeflow.store.list(SERVING) == served


def test_changed_data_in_the_same_folder_are_read_and_judged(first, kubeflow):
    shard = f"{DATA}/train/{record.shard_name(record.TRAIN, 0, 4).split('/')[1]}"
    kubeflow.store.write(shard, kubeflow.store.read(shard)[:-7])
    changed = kubeflow.run()
    assert changed.states["CuratedSchema"] == CACHED
    assert changed.states["ImportExampleGen"] == SUCCEEDED
    assert changed.states["DataGate"] == FAILED
    assert (
        "DataError: minio://mlpipeline/digits: shards are damaged" in changed.tasks["DataGate"].log
    )
    assert changed.states["StatisticsGen"] == SKIPPED
