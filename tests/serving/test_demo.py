"""`python -m serving.demo`: the page, in a browser."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys

import pytest
from commands import ROOT
from double import StatusError, free_port, made_up
from playwright.sync_api import expect

from serving import demo

expect.set_options(timeout=30_000)  # milliseconds; machines that run tests have much to do
DEMO = [sys.executable, "-m", "serving.demo"]


@pytest.fixture
def start():
    """Function: arguments → the URL of the page. The demo ends well by Ctrl-C, without a word.

    What it asks of other hosts goes to a proxy, at which nobody must have knocked.
    """
    pytest.importorskip("gradio", reason="needs EXTRAS=demo make setup")
    with contextlib.ExitStack() as stack:
        proxy = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        outside = "http://{}:{}".format(*proxy.getsockname())
        environment = {
            **os.environ,
            **dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), outside),
            **dict.fromkeys(("no_proxy", "NO_PROXY"), "127.0.0.1"),
        }
        started = []

        def start(*arguments) -> str:
            process = subprocess.Popen(
                [*DEMO, *map(str, arguments), "--port", "0"],
                cwd=ROOT,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            stack.callback(process.kill)
            started.append(process)
            line = process.stdout.readline()
            told = re.fullmatch(r"(http://127\.0\.0\.1:\d+) has the page; Ctrl-C ends it\n", line)
            assert told, (line, process.communicate())
            return told[1]

        yield start
        for process in started:
            process.send_signal(signal.SIGINT)
            assert process.communicate(timeout=20) == ("", "")
            assert process.returncode == 0
        proxy.settimeout(0)
        with pytest.raises(BlockingIOError):
            proxy.accept()


@pytest.fixture
def run(monkeypatch, capsys):
    """Function: arguments → exit code and stderr, where the page is not shown."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["demo", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            demo.main()
        return stop.value.code, capsys.readouterr().err

    return run


def drop(visit, file):
    """Gives the page a file, instead of the one before."""
    if visit.page.get_by_label("Clear").is_visible():
        visit.page.get_by_label("Clear").click()
        expect(visit.page.locator("dt")).to_have_count(0)
        expect(visit.page.get_by_label("Error")).to_be_hidden()
    visit.page.locator("input[type=file]").set_input_files(file)


def expect_answer(visit, names, source):
    """Waits until the page shows the classes `names`, best first, and where they come from."""
    expect(visit.page.locator("dt")).to_have_text(names)
    expect(visit.page.get_by_label("Answers come from")).to_have_value(source)
    expect(visit.page.get_by_label("Error")).to_be_hidden()


def expect_error(visit, error, source):
    """Waits until the page shows `error`, and no classes."""
    expect(visit.page.get_by_label("Error")).to_have_value(error)
    expect(visit.page.get_by_label("Answers come from")).to_have_value(source)
    expect(visit.page.locator("dt")).to_have_count(0)
    expect(visit.page.locator("main img")).to_have_count(0)


def names(outputs, index) -> list[str]:
    return [name.decode() for name in outputs["classes"][index]]


@pytest.mark.parametrize(("width", "colours"), [(1280, "light"), (360, "dark")])
def test_server(start, open_page, url, double, photos, photo_files, tmp_path, width, colours):
    double.authorization = "Bearer s3cret"
    token = tmp_path / "token"
    token.write_text("s3cret")
    visit = open_page(start("--url", url, "--token-file", token), width, colours)
    source = f"version 5 of model `fishnet` at {url}"
    expect_answer(visit, [], source)

    for index in (0, 3):
        drop(visit, photo_files[index])
        expect_answer(visit, names(made_up(5)(photos), index), source)
        picture = visit.page.get_by_alt_text(photo_files[index].name)
        assert picture.evaluate("image => image.decode().then(() => image.naturalWidth)") > 0
    assert visit.barriers() == []

    double.models["fishnet"][8] = made_up(8)
    drop(visit, photo_files[0])
    source = f"version 8 of model `fishnet` at {url}"
    expect_answer(visit, names(made_up(8)(photos), 0), source)

    text = tmp_path / "<b>text.png"
    text.write_text("no image")
    drop(visit, text)
    expect_error(visit, "btext.png: is not a JPEG or PNG file", source)
    assert visit.barriers() == []

    double.failures = [StatusError("INTERNAL", "out of luck")]
    drop(visit, photo_files[0])
    expect_error(visit, f"{url} failed: HTTP status 500: out of luck", "")

    assert visit.outside == visit.console_errors == visit.page_errors == []


def test_dead_server(start, open_page):
    url = f"http://127.0.0.1:{free_port()}"
    visit = open_page(start("--url", url))
    expect(visit.page.get_by_label("Error")).to_have_value(re.compile(f"^{url} is not available"))


@pytest.mark.slow
def test_version_in_a_folder(start, open_page, pushed, local_model, photos, photo_files):
    visit = open_page(start("--folder", pushed))
    drop(visit, photo_files[3])
    source = f"version {pushed.name}, loaded from {pushed}"
    expect_answer(visit, names(local_model(photos), 3), source)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--folder", "nowhere"], "--folder nowhere: no pushed version, which has a saved_model"),
        (["--url", "localhost:8501"], "a REST address starts with http"),
        (["--timeout", "0"], "--timeout must be positive"),
        (["--port", "99999"], "--port must be from 0 to 65535. Received: 99999"),
    ],
)
def test_wrong_usage(run, arguments, told):
    pytest.importorskip("gradio", reason="needs EXTRAS=demo make setup")
    code, err = run(*arguments)
    assert code == 2
    assert told in err


def test_a_port_that_is_taken():
    pytest.importorskip("gradio", reason="needs EXTRAS=demo make setup")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = subprocess.run(
            [*DEMO, "--port", str(port)], cwd=ROOT, capture_output=True, text=True
        )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"error: 127.0.0.1:{port}: [Errno 98] Address already in use")


def test_says_what_to_install():
    code = "import sys; sys.modules['gradio'] = None; from serving.demo import main; main()"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: the page needs EXTRAS=demo make setup: ")
