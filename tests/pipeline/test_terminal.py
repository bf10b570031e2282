import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from pseudo_terminal import pseudo_terminal

ROOT = Path(__file__).parents[2]
IMPORTS = """
import logging, os, subprocess, sys
from pathlib import Path
from pipeline.terminal import screen

log = Path(sys.argv[1])
"""


@pytest.fixture
def run(tmp_path):
    """Function: Python code → what it wrote to stdout, stderr and `log`.

    In a process of its own: pytest stands in for this one's streams.
    """

    def run(code: str) -> tuple[str, str, str]:
        log = tmp_path / "log"
        process = subprocess.run(
            [sys.executable, "-c", IMPORTS + textwrap.dedent(code), log],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        return process.stdout, process.stderr, log.read_text("utf-8")

    return run


def test_what_rich_would_take_for_markup_or_an_emoji_is_printed_as_it_is(run):
    stdout, _, _ = run("""
        with screen(log) as console:
            console.print("/a:x:b/[old]/[/data]")
            logging.getLogger("pipeline").warning("file.cc:100: [/old]")
    """)
    assert stdout == "/a:x:b/[old]/[/data]\nfile.cc:100: [/old]\n"


def test_console_goes_to_the_terminal_and_everything_else_to_the_log(run):
    stdout, stderr, log = run("""
        with screen(log) as console:
            console.print("for people")
            print("printed by a library", flush=True)
            print("warned by a library", file=sys.stderr, flush=True)
            os.write(1, b"C++ to stdout\\n")
            os.write(2, b"C++ to stderr\\n")
            subprocess.run("echo child to stdout; echo child to stderr >&2", shell=True)
            logging.getLogger("tensorflow").warning("logged by a library")
            print("printed and not flushed")
    """)
    assert stdout == "for people\n"
    assert stderr == ""
    *lines, logged, printed = log.splitlines()
    assert lines == [
        "printed by a library",
        "warned by a library",
        "C++ to stdout",
        "C++ to stderr",
        "child to stdout",
        "child to stderr",
    ]
    assert logged.endswith("WARNING tensorflow: logged by a library")
    assert printed == "printed and not flushed"


def test_our_own_packages_messages_go_to_both(run):
    stdout, _, log = run("""
        with screen(log):
            logging.getLogger("components.train.callbacks").info("step 1/2 [bold] 17 images/s")
            logging.getLogger("pipeline").debug("too fine")
    """)
    assert stdout.strip() == "step 1/2 [bold] 17 images/s"
    assert log.strip().endswith(" INFO components.train.callbacks: step 1/2 [bold] 17 images/s")
    assert len(log.splitlines()) == 1


def test_long_lines_are_not_broken(run):
    stdout, _, _ = run("""
        with screen(log) as console:
            console.print("word " * 60 + "end")
            logging.getLogger("models").info("word " * 60 + "end")
    """)
    assert [line.rstrip() for line in stdout.splitlines()] == ["word " * 60 + "end"] * 2


@pytest.mark.parametrize(
    "error", ["", "raise ValueError", "raise KeyboardInterrupt", "sys.exit(3)"]
)
def test_streams_are_restored_whatever_happens(run, error):
    stdout, stderr, log = run(f"""
        print("before")
        opened = len(os.listdir("/proc/self/fd"))
        try:
            with screen(log):
                print("inside")
                {error}
        except BaseException:
            pass
        print("after")
        os.write(2, b"after, by C++\\n")
        logging.getLogger("components").handlers and print("a handler was left")
        len(os.listdir("/proc/self/fd")) == opened or print("a file was left open")
    """)
    assert stdout == "before\nafter\n"
    assert stderr == "after, by C++\n"
    assert log == "inside\n"


def test_lines_that_a_closed_pipe_does_not_take_are_in_the_log(tmp_path):
    code = IMPORTS + textwrap.dedent("""
        import time
        with screen(log) as console:
            console.print("first")
            time.sleep(1)
            for number in range(3):
                console.print(f"line {number} ≤")
    """)
    log = tmp_path / "log"
    line = '"$@" | head -1; exit ${PIPESTATUS[0]}'
    command = ["bash", "-c", line, "bash", sys.executable, "-c", code, log]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "first\n", "")
    warned, *lines = log.read_text("utf-8").splitlines()
    assert warned.endswith("stdout: Broken pipe; the run goes on, and its lines are here")
    assert lines == ["line 0 ≤", "line 1 ≤", "line 2 ≤"]


def test_in_a_terminal_only_our_lines_are_shown(tmp_path):
    """Also while it shows that something is being done."""
    code = IMPORTS + textwrap.dedent("""
        from pipeline.terminal import working
        with screen(log) as console, working(console, "Loading", last=125.5):
            print("printed by a library", flush=True)
            print("warned by a library", file=sys.stderr, flush=True)
            console.print("for people")
    """)
    log = tmp_path / "log"
    shown = pseudo_terminal([sys.executable, "-c", code, str(log)], ROOT)
    assert "for people" in shown
    assert "Loading 0:00:00, 0:02:06 the last time" in shown
    assert "library" not in shown
    assert log.read_text("utf-8") == "printed by a library\nwarned by a library\n"


def test_log_is_appended_to(run):
    run('with screen(log): print("first")')
    _, _, log = run('with screen(log): print("second")')
    assert log == "first\nsecond\n"
