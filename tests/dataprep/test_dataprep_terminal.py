import os
import pty
import re
import time

import pytest

from dataprep.terminal import showing, watching


def test_two_lines_where_nobody_watches(capfd):
    with showing("Writing", 1200, "images") as tell:
        for done in range(1200):
            tell(done)
    begin, end = capfd.readouterr().err.splitlines()
    assert begin == "Writing 1,200 images"
    assert re.fullmatch(r"Writing: 1,200 images in [\d.]+ s, [\d,]+ images/s", end)


def test_no_end_is_told_of_what_failed(capfd):
    with pytest.raises(RuntimeError), showing("Writing", 1200, "images"):
        raise RuntimeError
    assert capfd.readouterr().err == "Writing 1,200 images\n"


def test_rate_and_time_left_on_a_terminal(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("NO_COLOR", "1")
    reader, writer = pty.openpty()
    saved = os.dup(2)
    os.dup2(writer, 2)
    try:
        with showing("Writing", 1000, "images") as tell:
            for done in range(0, 600, 100):
                tell(done)
                time.sleep(0.05)
    finally:
        os.dup2(saved, 2)
        for descriptor in (saved, writer):
            os.close(descriptor)
    screen = ""
    while "images in" not in screen:
        screen += os.read(reader, 100_000).decode()
    os.close(reader)
    assert re.search(r"Writing .* 500/1,000 images [\d,]+ images/s 0:00:0\d", screen)
    assert "Writing: 1,000 images in" in screen


def test_looks_now_and_then(monkeypatch):
    monkeypatch.setattr("dataprep.terminal.INTERVAL", 0.01)
    looks = []
    with watching(lambda: looks.append(1)):
        time.sleep(0.2)
    number = len(looks)
    assert number > 3
    time.sleep(0.05)
    assert len(looks) == number
