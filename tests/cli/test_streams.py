import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(code: str, shell: str = '"$@"', **environment: str) -> subprocess.CompletedProcess:
    """Runs Python code by the command line `shell`, in which `$@` stands for it."""
    imports = "import os, sys; from cli.streams import prepare_streams; "
    command = ["bash", "-c", shell, "bash", sys.executable, "-c", imports + code]
    return subprocess.run(command, cwd=ROOT, capture_output=True, env=environment, check=False)


@pytest.mark.parametrize("closed", ["0<&-", "1>&-", "2>&-", "0<&- 1>&- 2>&-"])
def test_closed_streams_are_made_up_for(tmp_path, closed):
    code = f"""prepare_streams(); print("out"); print("err", file=sys.stderr); os.write(1, b"");
file = open({str(tmp_path / "file")!r}, "w"); assert file.fileno() > 2; print(input() if 0 else "")
sys.exit(3)"""
    done = run(code, f'"$@" {closed}')
    assert done.returncode == 3
    assert (b"err" in done.stderr) == ("2>" not in closed)
    assert (b"out" in done.stdout) == ("1>" not in closed)
    assert (tmp_path / "file").read_text() == ""


def test_characters_that_cannot_be_printed_are_replaced():
    code = "prepare_streams(); print('a → b'); print('ü ≤', file=sys.stderr)"
    done = run(code, PYTHONIOENCODING="latin-1")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"a ? b\n", b"\xfc ?\n")


def test_in_another_locale_than_utf8_python_starts_anew_in_its_utf8_mode():
    code = "prepare_streams(); print(sys.flags.utf8_mode, os.fsencode('\\xfc'), '\\xfc')"
    done = run(code, LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"1 b'\\xc3\\xbc' ?\n", b"")


def test_what_nobody_reads_is_no_error():
    code = "from cli.streams import tell; tell('out'); tell('more'); print('and more'); sys.exit(3)"
    done = run(code, '"$@" | true; exit ${PIPESTATUS[0]}')
    assert (done.returncode, done.stderr) == (3, b"")
