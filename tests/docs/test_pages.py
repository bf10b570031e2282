"""The pages are as CONTRIBUTING says, and lead to each other."""

import itertools
import re

import pytest
from commands import ROOT
from pages import DOCS, PAGES, SHELL, tokens

LANGUAGES = {SHELL, "python", "text", "yaml", "json", "protobuf", "dockerfile", "mermaid"}
MOST_LINES = 3  # of prose before a page's first command
PROSE = {"heading_open", "heading_close", "paragraph_open", "paragraph_close", "inline"}

all_pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


@all_pages
def test_code_is_fenced_and_has_its_language(page):
    for token in tokens(page):
        assert token.type != "code_block", f"line {token.map[0] + 1}: fence it; commands are `sh`"
        assert token.type != "fence" or token.info in LANGUAGES, f"line {token.map[0] + 1}"


@pytest.mark.parametrize("page", DOCS, ids=lambda page: page.name)
def test_page_opens_with_a_command(page):
    first = next(token for token in tokens(page) if token.type not in PROSE)
    assert (first.type, first.info) == ("fence", SHELL)
    assert first.map[0] <= 2 + MOST_LINES


def anchors(page):
    """Those that GitHub gives its headings."""
    found = tokens(page)
    titles = [
        following.content
        for token, following in itertools.pairwise(found)
        if token.type == "heading_open"
    ]
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def links(page):
    """Page → the files and anchors that it links to, in this project."""
    children = [part for token in tokens(page) for part in token.children or ()]
    targets = [part.attrs["href"] for part in children if part.type == "link_open"]
    return [target.partition("#")[::2] for target in targets if "://" not in target]


@all_pages
def test_links_lead_somewhere(page):
    for path, anchor in links(page):
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), path
        assert not anchor or anchor in anchors(target), f"{path}#{anchor}"


def test_readme_leads_to_every_page():
    readme = ROOT / "README.md"
    assert {*DOCS, *PAGES} - {readme} <= {(ROOT / path).resolve() for path, _ in links(readme)}
