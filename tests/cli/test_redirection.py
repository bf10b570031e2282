import subprocess
import sys
from pathlib import Path

SCRIPT = """
import os, subprocess, sys
from cli.redirection import output_to

print("before")
with open(sys.argv[1], "w") as log:
    try:
        with output_to(log.fileno()):
            print("of Python")
            os.write(2, b"of C\\n")
            subprocess.run(["echo", "of a child"], check=True)
            if sys.argv[2] == "failing":
                raise RuntimeError
    except RuntimeError:
        print("failed")
print("after")
"""


def run(log: Path, how: str) -> tuple[str, list[str]]:
    """What is on the screen, and what in the log."""
    command = [sys.executable, "-c", SCRIPT, log, how]
    screen = subprocess.run(command, check=True, capture_output=True, text=True)
    assert screen.stderr == ""
    return screen.stdout, sorted(log.read_text().splitlines())


def test_all_that_is_written_meanwhile_goes_there_and_nothing_else(tmp_path):
    screen, log = run(tmp_path / "log", "well")
    assert screen == "before\nafter\n"
    assert log == ["of C", "of Python", "of a child"]


def test_an_error_gives_the_screen_back(tmp_path):
    assert run(tmp_path / "log", "failing")[0] == "before\nfailed\nafter\n"
