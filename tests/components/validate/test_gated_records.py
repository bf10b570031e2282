"""How many bad records the gate lets pass, in all and of a class."""

import pytest
from data_reports import add_bad, report_of

from components.ingest.report import NAMED_PROBLEMS, Report
from components.validate.data_gate import (
    check_bad_records,
    check_labels,
)
from dataset.errors import DataError
from dataset.record_check import LABEL_0


def refusal(report: Report, max_bad_share: float) -> str:
    """What the report is refused for; empty if it is not."""
    try:
        check_bad_records(report, "data", max_bad_share, "out/quarantine.jsonl")
    except DataError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    ("bad", "total", "share"),
    [(1, 1000, 0.001), (29, 100, 0.29), (7, 100, 0.07), (3, 3000, 0.001), (1, 3, 1 / 3), (0, 9, 0)],
)
def test_budget_of_all_records(bad, total, share):
    """Of records that are of no class."""
    assert refusal(add_bad(report_of({1: total - bad}, {}), bad), share) == ""
    message = refusal(add_bad(report_of({1: total - bad - 1}, {}), bad + 1), share)
    assert f"({bad + 1} of {total} records):\n" in message


@pytest.mark.parametrize("bad", [1, 29])
def test_budget_of_a_class(bad):
    """Its records of both splits together; other classes do not make up for them."""
    share = bad / 100

    def report(bad: int) -> Report:
        good = report_of({1: 10**6, 2: 90 - bad}, {2: 10})
        return add_bad(good, bad, label=2, reason="wrong class", split="val")

    assert refusal(report(bad), share) == ""
    message = refusal(report(bad + 1), share)
    assert f"({bad + 1} of the 100 records with label 2):\n" in message


def test_every_class_over_the_budget_counts_and_the_whole():
    report = report_of(dict.fromkeys(range(1, 7), 50), {})
    for label in (1, 3, 4, 6):
        add_bad(report, 1, label=label)
    assert refusal(report, 0.01).splitlines()[0] == (
        "4 bad records, more than the budget of 1.000% (4 of 304 records, "
        "1 of the 51 records with label 1, 1 of the 51 records with label 3 and 2 more):"
    )


def test_class_all_of_whose_records_are_bad():
    report = add_bad(report_of({1: 10**6}, {}), 3, label=2)
    assert "3 of the 3 records with label 2" in refusal(report, 0.5)


def test_no_bad_share_at_all():
    assert refusal(report_of({1: 10**6}, {}), 0.0) == ""
    assert refusal(add_bad(report_of({1: 10**6}, {}), 1), 0.0)


def test_any_bad_share_will_do():
    report = add_bad(add_bad(report_of({}, {1: 1}), 500), 500, label=2)
    assert refusal(report, 1.0) == ""


def test_nothing_read_is_not_over_the_budget():
    assert refusal(Report(), 0.0) == ""


def test_refusal_has_a_table_of_reasons():
    report = report_of({1: 5}, {2: 5})
    add_bad(report, 1300, reason="no label")
    add_bad(report, 2, reason="image does not decode")
    add_bad(report, 1, reason="no label", split="val")
    head, table, *lines = refusal(report, 0.001).split("\n  ")
    assert head.startswith("1303 bad records, more than the budget of 0.100% (")
    assert table.split() == ["reason", "train", "val"]
    assert lines[0].rsplit(maxsplit=2) == ["image does not decode", "2", "0"]
    assert lines[1].rsplit(maxsplit=2) == ["no label", "1,300", "1"]
    assert len({len(line) for line in (table, *lines[:2])}) == 1
    assert lines[2] == "train/a, record 0: 000.png: so it is"
    assert lines[2 + NAMED_PROBLEMS].startswith("…\n")  # there are more than those that are named
    assert "All of them are listed in out/quarantine.jsonl\n" in lines[-1]
    assert "--data.max_bad_share" in lines[-1]


def test_refusal_has_the_command_that_takes_most_of_the_bad_records():
    report = report_of({1: 5}, {2: 5})
    add_bad(report, 3, conversion="--image-key a --label-key b")
    add_bad(report, 2, conversion="")
    add_bad(report, 9)
    assert (
        "\n`python -m dataprep tfrecords --source data --output data-converted --image-key a "
        "--label-key b` makes shards in this format of such records.\n"
    ) in refusal(report, 0.001)
    assert "dataprep" not in refusal(add_bad(report_of({1: 5}, {2: 5}), 9), 0.001)


def test_label_0_is_refused_however_few_records_have_it():
    """Of many classes one is less than any budget, and it would be lost."""
    report = report_of({1: 10**6}, {2: 10**6})
    check_labels(add_bad(report, 9), "data")
    add_bad(report, 1, reason=LABEL_0)
    with pytest.raises(DataError) as refused:
        check_labels(report, "data")
    assert str(refused.value).startswith(
        "data: 1 records have the label 0: labels count from 0 here, from 1 in this format. "
        "`python -m dataprep tfrecords --source data --output data-converted --label-base 0` makes"
    )
