import pytest
from PIL import Image

GOOD = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>A page</title>
<style>body { background: white } @media (prefers-color-scheme: dark) { body { background: black } }
</style></head><body><main><h1>Good</h1></main>REST</body></html>"""


@pytest.fixture
def page_file(tmp_path):
    """Function: HTML → a file with the good page and that in it."""

    def page_file(rest):
        file = tmp_path / "a page.html"
        file.write_text(GOOD.replace("REST", rest), "utf-8")
        return file

    return page_file


def test_a_good_page(open_page, page_file):
    file = page_file('<img alt="" src="data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAA=">')
    visit = open_page(file)
    assert visit.page.title() == "A page"
    assert visit.requests == [file.as_uri()]
    assert not visit.outside + visit.console_errors + visit.page_errors + visit.barriers()


def test_errors_are_seen(open_page, page_file):
    visit = open_page(page_file("<script>console.error('told'); missing()</script>"))
    assert visit.console_errors == ["told"]
    assert visit.page_errors == ["missing is not defined"]


@pytest.mark.parametrize(
    "asking",
    [
        '<img alt="" src="http://127.0.0.1:9/pixel.png">',
        "<script>fetch('http://127.0.0.1:9/pixel.png').catch(() => {})</script>",
        "<script>new WebSocket('ws://127.0.0.1:9/pixel.png')</script>",
        '<img alt="" src="other.png">',
    ],
)
def test_requests_that_leave_the_file_are_seen(open_page, page_file, asking):
    visit = open_page(page_file(asking))
    visit.page.wait_for_timeout(100)  # a socket is opened after the page has loaded
    assert len(visit.requests) == 2
    [asked] = visit.outside
    assert asked.endswith((":9/pixel.png", "/other.png"))


def test_what_keeps_people_out_is_seen(open_page, page_file):
    [finding] = open_page(page_file("<main><img src='data:,'></main>")).barriers()
    assert finding.startswith("image-alt: ") and "<img src" in finding


@pytest.mark.parametrize(("colours", "background"), [("light", 255), ("dark", 0)])
def test_width_and_colours(open_page, page_file, tmp_path, colours, background):
    visit = open_page(page_file('<p style="height: 2000px"></p>'), width=360, colours=colours)
    visit.screenshot(tmp_path / "page.png")
    with Image.open(tmp_path / "page.png") as image:
        assert image.width == 360 and image.height > 2000
        assert image.convert("L").getpixel((0, 0)) == background
