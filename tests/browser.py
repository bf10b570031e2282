"""Pages in a headless Chromium: what they report, what they ask for, whom they keep out.

All tests have the fixture `open_page`. The browser is that of the system (Debian: apt-get install
chromium); without one its tests are skipped. While it runs, which is for a module of tests,
Playwright has an event loop in this thread: asyncio.run() fails there.
"""

import dataclasses
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--headless",
    "--no-sandbox",  # which Chromium does not have as root
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
HEIGHT = 900  # pixels


@dataclasses.dataclass(frozen=True)
class Visit:
    """An open page, and what came of it so far.

    Attributes:
        page: Playwright's, to read and to act on.
        console_errors: What it or Chromium wrote to the console as an error.
        page_errors: Exceptions that nothing in it caught.
        requests: The URLs it asked for, its own first; not those of data: URLs.
        outside: Those of them that are not of its file or, by http, of its host; they are aborted.
    """

    page: Page
    console_errors: list[str] = dataclasses.field(default_factory=list)
    page_errors: list[str] = dataclasses.field(default_factory=list)
    requests: list[str] = dataclasses.field(default_factory=list)
    outside: list[str] = dataclasses.field(default_factory=list)

    def barriers(self) -> list[str]:
        """What axe-core finds serious or critical: rule, what it asks for, the elements."""
        found = Axe().run(self.page).response["violations"]
        return [
            f"{rule['id']}: {rule['help']}: {[node['html'] for node in rule['nodes']]}"
            for rule in found
            if rule["impact"] in ("serious", "critical")
        ]

    def screenshot(self, path: Path) -> None:
        """Writes the whole page, below the viewport too, as a PNG file."""
        self.page.screenshot(path=path, full_page=True)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """The system's Chromium."""
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        pytest.skip("no Chromium on PATH (Debian: apt-get install chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium) -> Iterator[Callable[..., Visit]]:
    """Function: URL or file, `width` in pixels, `colours` "light" or "dark" → the page, loaded."""
    contexts = []

    def open_page(address: str | Path, width: int = 1280, colours: str = "light") -> Visit:
        url = address.resolve().as_uri() if isinstance(address, Path) else address
        context = chromium.new_context(
            viewport={"width": width, "height": HEIGHT},
            color_scheme=colours,
            service_workers="block",  # whose requests would not be seen
        )
        contexts.append(context)
        visit = Visit(context.new_page())
        _watch(visit, url)
        visit.page.goto(url)
        return visit

    yield open_page
    for context in contexts:
        context.close()


def _watch(visit: Visit, url: str) -> None:
    """Has `visit` told of all that its page does, and keeps it from asking outside of `url`."""

    def console(message: ConsoleMessage) -> None:
        if message.type == "error":
            visit.console_errors.append(message.text)

    def asked(other: str) -> None:
        visit.requests.append(other)
        if _is_outside(other, url):
            visit.outside.append(other)

    page = visit.page
    page.on("console", console)
    page.on("pageerror", lambda error: visit.page_errors.append(str(error)))
    page.on("request", lambda request: asked(request.url))
    page.on("websocket", lambda socket: asked(socket.url))
    page.route(lambda other: _is_outside(other, url), lambda route: route.abort())


def _is_outside(other: str, url: str) -> bool:
    """Whether the URL `other` is neither of the host nor of the file of the page at `url`."""
    if other.startswith(("blob:", "data:")):
        return False
    here, there = urlsplit(url), urlsplit(other)
    return (here.netloc or here.path) != (there.netloc or there.path)
