"""The messages that docs/troubleshooting.md quotes are the code's own."""

import re

import pytest
from commands import ROOT

PAGE = (ROOT / "docs" / "troubleshooting.md").read_text("utf-8")
PRODUCT = ("cli", "components", "dataset", "dataprep", "models", "pipeline", "scripts", "serving")
# Of the system, and a line that is put together of a threshold's parts.
OF_OTHERS = ("No space left on device", "min_top1_gain")

QUOTED = [
    row.group(1)
    for row in re.finditer(r"^\| `{1,2} ?(.+?) ?`{1,2} \|", PAGE, re.MULTILINE)
    if not row.group(1).startswith(OF_OTHERS)
]


@pytest.fixture(scope="module")
def source() -> str:
    files = [ROOT / "local_runner.py"]
    files += [file for package in PRODUCT for file in (ROOT / package).rglob("*.*")]
    return "\n".join(
        file.read_text("utf-8") for file in files if file.suffix in (".py", ".sh", ".pbtxt")
    )


@pytest.mark.parametrize("message", QUOTED)
def test_message_is_the_codes(message, source):
    for part in message.split("…"):
        assert part.strip() in source


def test_there_is_something_to_hold_against_it():
    assert len(QUOTED) > 10
