"""`python local_runner.py` where little is as on a developer's machine."""

import os
import re
import subprocess
import sys

import pytest
from commands import QUICK, ROOT
from pseudo_terminal import pseudo_terminal

from dataprep import digits
from dataset import record
from pipeline.nodes import NODES

# A user who is not root and has no name.
NOT_ROOT = ("unshare", "--user", "--map-user=4242", "--map-group=4242")
NAMES = [f"Größe {number}, 猫" for number in digits.CLASS_NAMES]


@pytest.mark.slow
def test_whole_run_of_a_nameless_user_on_a_dumb_ascii_terminal_without_a_home(tmp_path):
    if subprocess.run([*NOT_ROOT, "true"], capture_output=True, check=False).returncode:
        pytest.skip("needs the right to a user namespace of its own")
    data, cwd = tmp_path / "Zahlen für alle", tmp_path / "elsewhere"
    digits.write(data)
    (data / "manifest.json").unlink()  # it has other class names
    (data / record.LABELS_FILE).write_text("".join(f"{name}\n" for name in NAMES), "utf-8")
    cwd.mkdir()
    command = [sys.executable, str(ROOT / "local_runner.py"), "--data", str(data)]
    flags = ("--model.name", "fishnet_tiny", "--image.height", "16", "--image.width", "16")
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": "/nowhere",
        "TERM": "dumb",
        "LC_ALL": "C",
        "PYTHONCOERCECLOCALE": "0",
        "PYTHONUTF8": "0",
    }
    shown = pseudo_terminal([*NOT_ROOT, *command, *flags, *QUICK], cwd, environment)

    assert shown.isascii()
    assert "\x1b" not in shown  # a dumb terminal knows no colours and no cursor
    assert "Warning" not in shown
    assert re.search(r"^verdict +pushed", shown, re.MULTILINE)
    ran = re.findall(r"^(\w+) +\d+\.\d s", shown, re.MULTILINE)
    assert ran == list(NODES)
    output = cwd / "output" / "Zahlen für alle"
    [classes] = (output / "serving").glob("*/*/assets.extra/classes.json")
    assert NAMES[3] in classes.read_text("utf-8")
    assert NAMES[3] in (output / "report.html").read_text("utf-8")
