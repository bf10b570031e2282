"""Runs a command's `main` in this process, and reads the tables that it prints."""

import sys
from collections.abc import Callable

import pytest


def call(
    main: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    *arguments: object,
) -> tuple[int, str, str]:
    """The exit code of a command line, what it tells, and its errors."""
    monkeypatch.setattr(sys, "argv", ["command", *map(str, arguments)])
    monkeypatch.setenv("COLUMNS", "100")
    code = 0
    try:
        main()
    except SystemExit as stop:
        code = stop.code
    return code, *capsys.readouterr()


def rows(screen: str) -> list[list[str]]:
    """The tables' cells."""
    lines = [line for line in screen.splitlines() if line.startswith("│")]
    return [[cell.strip() for cell in line.strip("│").split("│")] for line in lines]
