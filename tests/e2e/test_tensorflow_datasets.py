"""From a folder that tensorflow_datasets wrote to the pushed model, with no flag about keys."""

import subprocess
import sys

import pytest
from commands import QUICK, ROOT, run

BY_TFDS = ROOT / "tests" / "dataprep" / "tfrecords" / "written_by_tfds"
SMALL = ("--model.name", "fishnet_tiny", "--image.height", "16", "--image.width", "16")


@pytest.mark.slow
def test_from_the_folder_to_the_pushed_model(tmp_path):
    data = tmp_path / "shapes"
    make = ["tfrecords", "--source", BY_TFDS / "shapes", "--output", data]
    made = subprocess.run(
        [sys.executable, "-m", "dataprep", *make], cwd=ROOT, capture_output=True, text=True
    )
    assert made.returncode == 0, made.stderr
    assert f"Next: python local_runner.py --data {data}\n" in made.stdout
    ended = run(tmp_path, "--data", str(data), *SMALL, *QUICK)
    assert (ended.exit_code, ended.errors) == (0, "")
    assert ended.summary["verdict"] == "pushed"
    assert set(ended.summary["metrics"]["slices"]) == {"disc", "square", "bar"}
