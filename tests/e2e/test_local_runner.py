"""`python local_runner.py` from raw records to the pushed model, as a user runs it.

The tests share the output folder of one run and go on in it, in the order in which they stand here.
"""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from commands import ROOT, run, start, wait
from pseudo_terminal import pseudo_terminal

from dataset import record
from pipeline.nodes import NEVER_CACHED, NODES, REPORT
from served_model.receipt import read_receipt

CONVERTED = ROOT.parent / "shared" / "data" / "imagenet-tfrecords-5classes"
CONVERTED_SYNSETS = {"n01644900", "n02268443", "n02948072", "n03814639", "n04456115"}

DATA_NODES = set(NODES[: NODES.index("Trainer")])

# All that the screen shows of a run that pushes. A line of a library's own fits none of these.
PLAN = (
    "data|image|model|transform|augment|tuner|trainer|evaluator|serving|pusher|beam"
    "|examples|device|precision|output|disk|nodes"
)
CONCLUSION = "verdict|log|summary|report|served|next"
EXPECTED_LINES = (
    r"wrote scikit-learn's handwritten digits to data/digits",
    rf"({PLAN}) +\S.*",
    rf"({'|'.join(NODES)}) +(cached|\d+\.\d s)",
    r"fishnet_tiny: [\d,]+ parameters, 1,437 examples of 10 classes, 22 steps of 64 an epoch, .*",
    r"epoch [1-8]/8 step \d+/22 loss \d+\.\d+ top1 [01]\.\d+.*",
    r"min_\w+ +\d\.\d{4} ≥ \S+ +(met|NOT met)",
    rf"({CONCLUSION}) +\S.*",
    r"",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A user's folder, of a name that shells and URIs must quote."""
    return tmp_path_factory.mktemp("meine Bücher")


def default_run(folder: Path, *arguments: str):
    """The default command: without --data and --output."""
    return wait(start(folder, *arguments), folder / "output" / "digits")


@pytest.fixture(scope="module")
def first(folder):
    return default_run(folder)


@pytest.fixture(scope="module")
def first_summary(first):
    return first.summary


@pytest.fixture(scope="module")
def validation_records(first):
    """The serialized tf.Examples of the digits' validation split."""
    import tensorflow as tf

    shards = sorted(map(str, (first.output.parents[1] / "data" / "digits" / "val").iterdir()))
    return [serialized.numpy() for serialized in tf.data.TFRecordDataset(shards)]


def files(path: Path) -> dict[Path, int]:
    """The files below `path` with the time at which each was last written, in nanoseconds.

    But for reports, of which each run has its own.
    """
    return {
        file: file.stat().st_mtime_ns
        for file in path.rglob("*")
        if file.is_file() and REPORT not in file.parts
    }


@pytest.mark.slow
def test_default_run_pushes(first, first_summary):
    assert (first.exit_code, first.errors) == (0, "")
    assert first_summary["verdict"] == "pushed"
    assert first_summary["metrics"]["top1"] >= 0.95
    assert first.versions() == [first_summary["model_version"]]
    assert (Path(first_summary["serving_model"]) / "saved_model.pb").is_file()


@pytest.mark.slow
def test_pushed_version_tells_where_its_model_came_from(first_summary):
    receipt = read_receipt(Path(first_summary["serving_model"]))
    metrics = {k: v for k, v in first_summary["metrics"].items() if k != "slices"}
    assert receipt.metrics == metrics
    assert Path(receipt.model_uri, "saved_model.pb").is_file()
    assert str(receipt.version) == first_summary["model_version"]
    assert receipt.pipeline == "fishnet"
    assert receipt.run
    assert len(receipt.data_digest) == len(receipt.model_digest) == 64
    assert receipt.code_digest


@pytest.mark.slow
def test_summary(first, first_summary):
    metrics = first_summary["metrics"]
    assert metrics["top1"] <= metrics["top5"] <= 1
    assert 0 < metrics["loss"] < 1
    assert set(metrics["slices"]) == {
        *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
    }
    assert sum(s["example_count"] for s in metrics["slices"].values()) == 360
    right = sum(s["top1"] * s["example_count"] for s in metrics["slices"].values())
    assert right / 360 == pytest.approx(metrics["top1"])
    assert first_summary["thresholds"]["min_top1"] == {
        "bound": 0.95,
        "value": metrics["top1"],
        "met": True,
    }
    assert first_summary["examples"] == {
        "train": {"read": 1437, "quarantined": 0},
        "val": {"read": 360, "quarantined": 0},
    }
    assert set(first_summary["components"]) == set(NODES)
    assert not first.cached
    assert all(c["seconds"] > 0 for c in first_summary["components"].values())
    serving = first.output / "serving" / "fishnet" / first_summary["model_version"]
    assert first_summary["serving_model"] == str(serving)
    assert Path(first_summary["report"]) == Path("output/digits/report.html")


@pytest.mark.slow
def test_report(first, first_summary):
    page = (first.output / "report.html").read_text("utf-8")
    assert f"{first_summary['metrics']['top1']:.4f}" in page
    assert page.count("<img ") >= 24  # of the images drawn at random
    assert page.count("<svg ") == 4  # curves, reliability, confusion, balance
    assert f"accuracy\n      name: top-1\n      value: {first_summary['metrics']['top1']:.4f}" in (
        first.output / "model_card.md"
    ).read_text("utf-8")
    [own] = (first.output / "runs").iterdir()
    assert (own / "report.html").read_text("utf-8") == page
    assert f"runs/{own.name}/report.html" in (first.output / "index.html").read_text("utf-8")


@pytest.mark.slow
def test_screen(first, first_summary):
    lines = first.screen.splitlines()
    strange = [
        line for line in lines if not any(re.fullmatch(known, line) for known in EXPECTED_LINES)
    ]
    assert not strange
    words = [line.split()[0] for line in lines if line]
    plan = PLAN.split("|")
    assert words[words.index("data") :][: len(plan)] == plan
    assert words.index("nodes") < words.index("CuratedSchema")
    assert [word for word in words if word in NODES] == list(NODES)
    assert words[-6:] == CONCLUSION.split("|")
    screen = first.screen
    assert "model      name=fishnet_tiny  stem=small" in screen
    assert "trainer    epochs=8  batch_size=64  optimizer=sgd  learning_rate=0.1" in screen
    assert "examples   data/digits: 1,437 train, 360 val examples, 10 classes" in screen
    assert "output     output/digits" in screen
    assert "verdict    pushed" in screen
    assert first_summary["serving_model"] in screen
    assert f"min_top1       {first_summary['metrics']['top1']:.4f} ≥ 0.95   met" in screen
    assert "epoch 8/8 step 22/22" in screen


@pytest.mark.slow
def test_libraries_tell_the_log_file(first, first_summary):
    assert first_summary["log"] in first.screen
    log = first.log.read_text("utf-8")
    assert "tensorflow" in log
    assert all(f"node_id: {node}" in log or node in log for node in NODES)


@pytest.mark.slow
def test_pushed_model_answers_as_tf_serving_loads_it(first_summary, validation_records):
    """Through the loader of TF 1, which TF Serving's C++ shares: no Python object comes along."""
    import tensorflow as tf

    features = [tf.train.Example.FromString(r).features.feature for r in validation_records]
    images = [feature[record.IMAGE].bytes_list.value[0] for feature in features]
    labels = np.array([feature[record.LABEL].int64_list.value[0] for feature in features])
    with tf.compat.v1.Session(graph=tf.Graph()) as session:
        signatures = tf.compat.v1.saved_model.load(
            session, ["serve"], first_summary["serving_model"]
        ).signature_def

        def ask(signature: str, **inputs):
            definition = signatures[signature]
            assert set(definition.inputs) == set(inputs)
            feed = {definition.inputs[name].name: value for name, value in inputs.items()}
            outputs = {name: tensor.name for name, tensor in definition.outputs.items()}
            return session.run(outputs, feed)

        by_image = ask("serving_default", image_bytes=images)
        by_example = ask("serve_examples", examples=validation_records)
        transformed = ask("transform_features", examples=validation_records)
        grey = ask("serve_tensors", images=np.full([3, 16, 16, 3], 128.0, np.float32))

    right = np.sum(np.argmax(by_image["probabilities"], axis=1) == labels - record.LABEL_BASE)
    assert len(labels) == 360
    assert right == round(first_summary["metrics"]["top1"] * 360)

    names = [b"zero", b"one", b"two", b"three", b"four", b"five", b"six", b"seven", b"eight"]
    names = np.array([*names, b"nine"], object)
    assert np.sum(by_image["classes"][:, 0] == names[labels - record.LABEL_BASE]) == right
    assert by_image["classes"].shape == by_image["scores"].shape == (360, 5)
    np.testing.assert_allclose(by_image["probabilities"].sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_array_equal(
        by_image["scores"], -np.sort(-by_image["probabilities"], axis=1)[:, :5]
    )
    for name, value in by_image.items():
        np.testing.assert_array_equal(value, by_example[name])
    np.testing.assert_array_equal(transformed["class_index"], labels - record.LABEL_BASE)
    assert transformed["pixels"].shape == (360, 16, 16, 3)
    assert grey["classes"].shape == (3, 5)
    np.testing.assert_allclose(grey["probabilities"].sum(axis=1), 1, rtol=1e-5)


@pytest.mark.slow
def test_same_command_again_changes_nothing(folder, first, first_summary):
    served = files(first.output / "serving")
    artifacts = files(first.output / "artifacts")
    again = default_run(folder)
    assert (again.exit_code, again.errors) == (0, "")
    assert again.summary["verdict"] == "unchanged"
    assert again.cached == set(NODES) - {"Champion", *NEVER_CACHED}  # they look anew, in no time
    for field in ("model_version", "serving_model", "metrics", "thresholds", "examples"):
        assert again.summary[field] == first_summary[field]
    assert files(first.output / "serving") == served
    assert files(first.output / "artifacts") == artifacts


@pytest.mark.slow
def test_threshold_that_no_model_meets(folder, first):
    served = files(first.output / "serving")
    run = default_run(folder, "--evaluator.min_top1", "1.1")
    assert (run.exit_code, run.errors) == (3, "")
    assert run.summary["verdict"] == "not_blessed"
    assert run.summary["thresholds"]["min_top1"]["met"] is False
    assert run.summary["serving_model"] is None
    assert re.search(r"^min_top1 +0\.9\d+ ≥ 1\.1 +NOT met$", run.screen, re.MULTILINE)
    assert "verdict    not_blessed" in run.screen
    assert files(first.output / "serving") == served


@pytest.mark.slow
def test_model_that_a_server_would_not_serve_well_enough(folder, first):
    served = files(first.output / "serving")
    run = default_run(folder, "--serving.max_load_seconds", "0.0001")
    assert (run.exit_code, run.errors) == (5, "")
    assert run.summary["verdict"] == "serving_refused"
    [fault] = run.summary["serving"]["faults"]
    assert fault.startswith("load_seconds: ")
    assert f"serving: {fault}" in run.screen
    assert "Evaluator" in run.cached
    assert files(first.output / "serving") == served


@pytest.mark.slow
def test_version_that_was_deleted_is_pushed_again(folder, first):
    [version] = first.versions()
    shutil.rmtree(first.output / "serving" / "fishnet" / version)
    run = default_run(folder)
    assert (run.exit_code, run.summary["verdict"]) == (0, "pushed")
    assert run.versions() == [run.summary["model_version"]]
    assert (Path(run.summary["serving_model"]) / "saved_model.pb").is_file()
    assert "Trainer" in run.cached


@pytest.mark.slow
def test_cleaned_folder_has_its_cache_and_its_champion(folder, first):
    command = [sys.executable, "-m", "pipeline.output", "clean", "--keep-runs", "1"]
    served = files(first.output / "serving")
    done = subprocess.run(
        [*command, "--output", first.output], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert re.search(r"^\d+ artifacts removed, \d+\.\d MB$", done.stdout, re.MULTILINE)
    run = default_run(folder)
    assert (run.exit_code, run.summary["verdict"]) == (0, "unchanged")
    assert run.cached == set(NODES) - {"Champion", *NEVER_CACHED}
    assert files(first.output / "serving") == served


@pytest.mark.slow
def test_trainer_takes_the_best_values_of_a_search(folder, first):
    search = ("--tuner.enable", "True", "--tuner.epochs", "1", "--tuner.weight_decays")
    search += ("--tuner.learning_rates", "0.01", "0.05", "--to", "Trainer", "--trainer.epochs", "1")
    run = default_run(folder, *search)
    assert (run.exit_code, run.errors) == (0, "")
    assert run.cached == DATA_NODES - set(NEVER_CACHED)
    best, other = run.summary["trials"]
    rates = [trial["values"]["trainer.learning_rate"] for trial in (best, other)]
    assert sorted(rates) == [0.01, 0.05]  # neither is the preset's
    assert best["val_top1"] >= other["val_top1"]
    lines = run.screen.splitlines()
    [heading] = [number for number, line in enumerate(lines) if line.startswith("rank ")]
    assert lines[heading - 1].startswith("Tuner ")
    assert lines[heading + 1].split()[:2] == ["1", str(rates[0])]
    assert lines[heading + 2].split()[:2] == ["2", str(rates[1])]
    assert lines[heading + 3] == f"by the Tuner: trainer.learning_rate {rates[0]}"
    # With the same epochs, the Trainer trains what the best trial did.
    [epoch] = [line for line in lines[heading:] if line.startswith("epoch 1/1 step 22/22 ")]
    assert f"val_top1 {best['val_top1']:.4f}" in epoch
    assert not any((first.output / "checkpoints").iterdir())

    again = default_run(folder, *search)
    assert again.cached == run.cached | {"Tuner", "Trainer"}
    assert again.summary["trials"] == run.summary["trials"]
    assert lines[heading + 1] in again.screen


@pytest.mark.slow
def test_shards_of_the_imagenet_conversion_tool_in_two_goes(tmp_path):
    """First the data work, then the rest with `--from`; class names come from the synsets."""
    if not CONVERTED.is_dir():
        pytest.skip(f"needs the shards of the ImageNet conversion tool at {CONVERTED}")
    command = ["--data", str(CONVERTED), "--model.name", "fishnet_tiny", "--image.height", "32"]
    command += ["--image.width", "32", "--trainer.epochs", "2", "--evaluator.min_top1", "0"]

    partial = run(tmp_path, *command, "--to", "Transform")
    assert (partial.exit_code, partial.errors) == (0, "")
    assert partial.summary["verdict"] == "partial"
    assert set(partial.summary["components"]) == DATA_NODES | {REPORT}
    assert "Trainer" not in partial.screen
    assert partial.versions() == []
    assert "examples   " + f"{CONVERTED}: 500 train, 100 val examples" in partial.screen

    shorter = run(tmp_path, *command, "--to", "ImportExampleGen")  # the newest, which lacks most
    assert shorter.exit_code == 0
    rest = run(tmp_path, *command, "--from", "Trainer")
    assert (rest.exit_code, rest.errors) == (0, "")
    assert "earlier    nodes before Trainer: of the run of 20" in rest.screen
    assert rest.summary["verdict"] == "pushed"
    ran = [line.split()[0] for line in rest.screen.splitlines() if re.match(r"[A-Z]\w+ ", line)]
    assert ran == ["Trainer", "Champion", "Evaluator", "ServingGate", "Pusher", REPORT]
    assert rest.versions() == [rest.summary["model_version"]]
    assert set(rest.summary["metrics"]["slices"]) == CONVERTED_SYNSETS

    import tensorflow as tf

    shard = next(s for s in sorted((CONVERTED / "val").iterdir()) if s.stat().st_size)
    example = tf.train.Example.FromString(next(iter(tf.data.TFRecordDataset(str(shard)))).numpy())
    image = example.features.feature[record.IMAGE].bytes_list.value[0]
    model = tf.saved_model.load(rest.summary["serving_model"])
    answer = model.signatures["serving_default"](image_bytes=tf.constant([image]))
    assert {name.decode() for name in answer["classes"].numpy()[0]} == CONVERTED_SYNSETS


@pytest.mark.slow
def test_a_terminal_shows_our_lines_and_nothing_of_the_libraries(tmp_path):
    command = [sys.executable, str(ROOT / "local_runner.py"), "--dry-run"]
    shown = pseudo_terminal(command, tmp_path)
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown)  # colours and the cursor's moves
    lines = [line.rpartition("\r")[2] for line in plain.replace("\r\n", "\n").split("\n")]
    others = (
        r"\S Loading TensorFlow and TFX 0:\d\d:\d\d *",  # in front of it something turns
        r"examples +data/digits: to be written",
        "dry run: nothing was written",
    )
    for line in lines:
        assert any(re.fullmatch(pattern, line) for pattern in (*EXPECTED_LINES, *others)), line
    assert sum(line.startswith("nodes ") for line in lines) == 1


def test_run_goes_on_when_nobody_reads_its_screen(tmp_path):
    runner = shlex.join([sys.executable, str(ROOT / "local_runner.py")])
    command = f"{runner} --to DataGate | head -1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "wrote scikit-learn's handwritten digits to data/digits\n"
    [log] = (tmp_path / "output" / "digits" / "logs").iterdir()
    told = log.read_text("utf-8")
    assert "stdout: Broken pipe; the run goes on, and its lines are here" in told
    assert "verdict    partial" in told
    assert (tmp_path / "output" / "digits" / "summary.json").exists()


def test_record_that_is_gone_or_damaged(tmp_path):
    """What people do to a folder that is in trouble: they delete the file."""
    assert default_run(tmp_path, "--to", "DataGate").exit_code == 0
    record_file = tmp_path / "output" / "digits" / "metadata.db"
    record_file.unlink()
    again = default_run(tmp_path, "--to", "DataGate")
    assert again.exit_code == 0
    assert not again.cached
    assert "metadata.db is not there: every node runs again" in again.screen
    [aside] = record_file.parent.glob("artifacts-*")
    assert (aside / "ImportExampleGen").is_dir()

    record_file.write_bytes(record_file.read_bytes()[:5000])
    damaged = default_run(tmp_path, "--to", "DataGate")
    assert damaged.exit_code == 1
    assert damaged.summary["message"].startswith(
        "output/digits/metadata.db: the record of earlier runs cannot be read"
    )


@pytest.mark.parametrize("flags", [(), ("--dry-run",)])
def test_run_that_would_fill_the_disk_is_refused_before_it_begins(tmp_path, flags):
    done = default_run(tmp_path, "--model.width", "10000", *flags)  # weights of terabytes
    assert (done.exit_code, done.errors) == (1, "")
    assert re.search(r"^disk +needs about \d{5,}\.\d GB; [\d.]+ [GM]B are free$", done.screen, re.M)
    assert "most of it Trainer" in done.screen
    assert not (done.output / "artifacts").exists()


def test_dry_run_writes_nothing(tmp_path):
    run = default_run(tmp_path, "--dry-run", "--trainer.epochs", "3")
    assert (run.exit_code, run.errors) == (0, "")
    assert "trainer    epochs=3" in run.screen
    assert "examples   data/digits: to be written" in run.screen
    assert "dry run: nothing was written" in run.screen
    assert not any(tmp_path.iterdir())
