"""Times for people."""

import pytest

from cli.duration import format_duration


@pytest.mark.parametrize(
    ("seconds", "wanted"),
    [
        (0, "0:00:00"),
        (59.4, "0:00:59"),
        (59.6, "0:01:00"),
        (3599.9, "1:00:00"),
        (3723, "1:02:03"),
        (360_000, "100:00:00"),
    ],
)
def test_format_duration(seconds, wanted):
    assert format_duration(seconds) == wanted
