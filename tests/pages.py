"""Reads the pages of documentation, and finds the commands in them."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from commands import ROOT
from markdown_it import MarkdownIt
from markdown_it.token import Token

DOCS = sorted((ROOT / "docs").glob("*.md"))
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *DOCS]

SHELL = "sh"  # the language of a block of commands
IN_A_SENTENCE = ("python", "make", "pytest")  # programs whose commands count there, too

VARIABLE = re.compile(r"\w+=.*")


class Command(NamedTuple):
    """A command in a page.

    Attributes:
        where: Page and line, of the block or the paragraph that has it.
        words: The shell's, without variables before the program, and without .venv/bin/.
    """

    where: str
    words: list[str]


def tokens(page: Path) -> list[Token]:
    """What a page consists of."""
    return MarkdownIt().parse(page.read_text("utf-8"))


def shown_commands(page: Path) -> Iterator[Command]:
    """The commands in a page's blocks, one a line, and in its sentences."""
    for token in tokens(page):
        found: list[list[str]] = []
        if token.type == "fence" and token.info == SHELL:
            found = [_words(line) for line in token.content.replace("\\\n", " ").splitlines()]
        elif token.type == "inline":
            codes = [part.content for part in token.children if part.type == "code_inline"]
            found = [_words(code) for code in codes if re.search(_IN_A_SENTENCE, code)]
        for words in filter(None, found):
            yield Command(f"{page.relative_to(ROOT)}:{token.map[0] + 1}", words)


# A name alone is no command.
_IN_A_SENTENCE = rf"^(\w+=\S* )*(\.venv/bin/)?({'|'.join(IN_A_SENTENCE)}) "


def _words(line: str) -> list[str]:
    words = shlex.split(line.removesuffix("&"), comments=True)
    while words and VARIABLE.fullmatch(words[0]):
        del words[0]
    return [words[0].removeprefix(".venv/bin/"), *words[1:]] if words else []
