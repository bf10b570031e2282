import pytest

from components.report.verdict import Verdict


@pytest.mark.parametrize(
    ("value", "exit_code"),
    [
        ("pushed", 0),
        ("unchanged", 0),
        ("partial", 0),
        ("failed", 1),
        ("not_blessed", 3),
        ("data_refused", 4),
        ("serving_refused", 5),
    ],
)
def test_exit_code(value, exit_code):
    assert Verdict(value).exit_code == exit_code


def test_every_verdict_has_an_exit_code_and_none_is_that_of_wrong_usage():
    assert all(verdict.exit_code != 2 for verdict in Verdict)
