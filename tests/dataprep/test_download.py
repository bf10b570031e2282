import hashlib
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from dataprep.download import Download, fetch
from dataprep.errors import PreparationError

DATA = bytes(range(256)) * 20_000  # 5 MB


class Server(http.server.ThreadingHTTPServer):
    """Serves `data`, and notes what was asked for.

    Attributes:
        data: The file.
        ranges: Whether it knows of ranges.
        breaks: After how many bytes to break off each of the next answers.
        asked: The first byte that each request asked for.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.data = DATA
        self.ranges = True
        self.breaks: list[int] = []
        self.asked: list[int] = []

    def download(self) -> Download:
        url = f"http://127.0.0.1:{self.server_port}/tiny.zip"
        return Download(url, len(DATA), hashlib.md5(DATA).hexdigest())


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        begin = int(self.headers.get("Range", "bytes=0-")[len("bytes=") : -1])
        self.server.asked.append(begin)
        begin = begin if self.server.ranges else 0
        body = self.server.data[begin:]
        self.send_response(206 if self.server.ranges else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.server.breaks:
            body = body[: self.server.breaks.pop(0)]
        self.wfile.write(body)

    def log_message(self, *args) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_downloads(server, tmp_path, capfd):
    fetch(server.download(), tmp_path / "data" / "tiny.zip")
    assert (tmp_path / "data" / "tiny.zip").read_bytes() == DATA
    assert files(tmp_path / "data") == ["tiny.zip"]
    begin, end = capfd.readouterr().err.splitlines()
    assert begin == "Downloading 5 MB"
    assert end.startswith("Downloading: 5 MB in ")


def test_what_is_there_is_not_downloaded_again(server, tmp_path):
    (tmp_path / "tiny.zip").write_bytes(DATA)
    fetch(server.download(), tmp_path / "tiny.zip")
    assert server.asked == []


def test_broken_connections_are_gone_on_with(server, tmp_path):
    server.breaks = [1_000_000, 2_000_000, 3]
    fetch(server.download(), tmp_path / "tiny.zip")
    assert (tmp_path / "tiny.zip").read_bytes() == DATA
    assert server.asked == [0, 1_000_000, 3_000_000, 3_000_003]


def test_killed_download_is_gone_on_with(server, tmp_path):
    (tmp_path / ".tiny.zip.part").write_bytes(DATA[:2_000_000])
    fetch(server.download(), tmp_path / "tiny.zip")
    assert (tmp_path / "tiny.zip").read_bytes() == DATA
    assert server.asked == [2_000_000]


def test_server_that_knows_no_ranges(server, tmp_path):
    server.ranges = False
    (tmp_path / ".tiny.zip.part").write_bytes(b"x" * 1000)
    fetch(server.download(), tmp_path / "tiny.zip")
    assert (tmp_path / "tiny.zip").read_bytes() == DATA


def test_another_file_comes(server, tmp_path):
    server.data = DATA[:-1] + b"x"
    with pytest.raises(PreparationError, match="has MD5 .* instead of .* --source tiny.zip"):
        fetch(server.download(), tmp_path / "tiny.zip")
    assert not (tmp_path / "tiny.zip").exists()
    server.data = DATA
    fetch(server.download(), tmp_path / "tiny.zip")
    assert (tmp_path / "tiny.zip").read_bytes() == DATA


def test_another_file_is_there(server, tmp_path):
    (tmp_path / "tiny.zip").write_bytes(b"page not found")
    with pytest.raises(PreparationError, match=r"tiny\.zip has 14 bytes .*\. Remove it"):
        fetch(server.download(), tmp_path / "tiny.zip")
    assert (tmp_path / "tiny.zip").read_bytes() == b"page not found"


def test_server_breaks_off_for_good(server, tmp_path):
    server.breaks = [1_000_000, 0, 0, 0]
    with pytest.raises(PreparationError, match="1 of 5 MB have come. The same command goes on"):
        fetch(server.download(), tmp_path / "tiny.zip")
    assert files(tmp_path) == [".tiny.zip.part"]
    fetch(server.download(), tmp_path / "tiny.zip")
    assert server.asked == [0, 1_000_000, 1_000_000, 1_000_000, 1_000_000]


def test_no_server(tmp_path):
    with pytest.raises(PreparationError, match=r"127\.0\.0\.1 cannot be reached.*\n0 of 5 MB"):
        fetch(Download("http://127.0.0.1:9/tiny.zip", len(DATA), ""), tmp_path / "tiny.zip")


def test_two_downloads_at_once(server, tmp_path):
    threads = [
        threading.Thread(target=fetch, args=(server.download(), tmp_path / "tiny.zip"))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (tmp_path / "tiny.zip").read_bytes() == DATA
    assert server.asked == [0]
    assert files(tmp_path) == ["tiny.zip"]
