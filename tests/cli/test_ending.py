import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
IMPORTS = (
    "import atexit, logging, os, sys, time\nfrom cli.ending import QuickEnd\nend = QuickEnd()\n"
)


def run(code: str, shell: str = '"$@"') -> subprocess.CompletedProcess:
    """Runs Python code by the command line `shell`, in which `$@` stands for it."""
    command = ["bash", "-c", shell, "bash", sys.executable, "-c", IMPORTS + textwrap.dedent(code)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, check=False, env={})


def test_exit_handlers_run_all_is_written_and_nothing_is_taken_apart():
    done = run("""
        class Slow:
            def __del__(self):
                print("taken apart")
        kept = Slow()
        atexit.register(lambda: print("handler"))
        logging.basicConfig(filename="/dev/stderr")
        logging.warning("logged")
        sys.stdout.write("written\\n")
        end(5)
    """)
    assert (done.returncode, done.stdout) == (5, b"written\nhandler\n")
    assert b"logged" in done.stderr


@pytest.mark.parametrize(("code", "exit_code"), [("sys.exit(2)", 2), ("raise ValueError", 1)])
def test_other_ends_are_as_ever(code, exit_code):
    assert run(code).returncode == exit_code


def test_reader_that_has_gone_is_no_traceback():
    done = run("time.sleep(1); print('late'); end(0)", '"$@" | true; exit ${PIPESTATUS[0]}')
    assert (done.returncode, done.stderr) == (1, b"")
