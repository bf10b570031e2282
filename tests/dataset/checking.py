"""The rules that the tests of records check by, and the problem of a record."""

from components.transform.image import decodes
from dataset.record_check import Rules, check_records

RULES = Rules(num_classes=3, synsets=("n01", "n02", "n03"))


def problem_of(serialized: bytes, rules: Rules = RULES) -> tuple[str, str]:
    [found] = check_records([serialized], rules, decodes)
    assert found.problem is not None
    return found.problem.reason, found.problem.detail
