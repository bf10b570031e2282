"""DataGate: stops the run where a network could not be trained, or judged, on what was read."""

import logging
from collections import Counter

from tfx.dsl.component.experimental.annotations import InputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.dsl.io import fileio

from components.ingest.report import (
    NAMED_PROBLEMS,
    QUARANTINE_FILE,
    DataReport,
    Report,
    read_report,
)
from dataset import record
from dataset.classes import class_faults
from dataset.conversion import advice, label_0
from dataset.errors import DataError, listed
from dataset.folder import order_shards
from dataset.manifest import check_against_manifest, parse_manifest
from dataset.record_check import LABEL_0

logger = logging.getLogger(__name__)


@component
def DataGate(  # noqa: N802  (TFX names a component's node after its function)
    report: InputArtifact[DataReport],
    data: Parameter[str],
    max_bad_share: Parameter[float],
    require_all_classes: Parameter[bool],
) -> None:
    """Judges what was found in the shards.

    Its outcome depends on the manifest in `data`, which TFX's cache knows nothing of: do not take
    it from there.

    Args:
      report: What ImportExampleGen found.
      data: The data set's folder; its manifest is read, if there is one.
      max_bad_share: How much of all records, and of those of each class, may be bad.
      require_all_classes: Whether each class needs a record in each split.

    Raises:
      DataError: The data are refused.
    """
    found = read_report(report.uri)
    data = data.rstrip("/")
    check_shards(found, data)
    check_labels(found, data)
    check_bad_records(found, data, max_bad_share, f"{report.uri}/{QUARANTINE_FILE}")
    check_classes(found, require_all_classes)
    _tell(found, f"{report.uri}/{QUARANTINE_FILE}")


def _tell(report: Report, quarantine: str) -> None:
    """Logs what does not stop the run."""
    if report.bad_records:
        logger.warning(
            "%d bad records were set aside; they are listed in %s", report.bad_records, quarantine
        )
    if report.leaked:
        logger.warning("%d images of `val` are in `train` too: metrics flatter", report.leaked)


def check_shards(report: Report, data: str) -> None:
    """Raises DataError unless every shard was read to its end and is as the manifest says."""
    if report.faults:
        faults = [f"{name}: {fault}" for name, fault in sorted(report.faults.items())]
        raise DataError(
            f"{data}: shards are damaged:\n  {listed(faults, NAMED_PROBLEMS, _LINE)}\n"
            "Copy or write the data set again."
        )
    for split in record.SPLITS:
        order_shards(data, split, [name for name in report.shards if name.startswith(f"{split}/")])
    manifest = f"{data}/{record.MANIFEST_FILE}"
    if fileio.exists(manifest):
        with fileio.open(manifest, "rb") as file:
            check_against_manifest(data, parse_manifest(file.read(), manifest), report.shards)


def check_labels(report: Report, data: str) -> None:
    """Raises DataError if labels count from 0: by a budget of bad records a class could be lost."""
    if number := sum(found[LABEL_0] for found in report.bad.values()):
        raise DataError(f"{data}: {label_0(number, data)}")


def check_bad_records(report: Report, data: str, max_bad_share: float, quarantine: str) -> None:
    """Raises DataError if more records were bad than the budget allows.

    Args:
      report: What was found.
      data: The data set's folder, to be named.
      max_bad_share: How much of all records, and of those of each class, may be bad.
      quarantine: Where all bad records are listed, to be named.
    """
    bad = report.bad_records
    total = sum(map(report.read, record.SPLITS))
    # Divided, not multiplied: 0.29 × 100 is less than 29.
    over = [f"{bad} of {total} records"] if bad and bad / total > max_bad_share else []
    good = sum(map(report.labels, record.SPLITS), Counter())
    for label, number in sorted(report.bad_labels.items()):
        of_class = number + good[label]
        if number / of_class > max_bad_share:
            over.append(f"{number} of the {of_class} records with label {label}")
    if not over:
        return
    named = report.problems + (["…"] if bad > len(report.problems) else [])
    raise DataError(
        f"{bad} bad records, more than the budget of {max_bad_share:.3%} "
        f"({listed(over)}):\n{_table(report)}\n  {_LINE.join(named)}\n"
        f"All of them are listed in {quarantine}\n"
        f"{advice(data, report.conversions)}"
        "Repair or remove them and write the shards again, or set a larger --data.max_bad_share."
    )


_LINE = "\n  "


def _table(report: Report) -> str:
    """How many records are bad for each reason, in each split."""
    reasons = sorted({reason for found in report.bad.values() for reason in found})
    width = max(map(len, reasons))
    lines = [f"  {'reason':<{width}}" + "".join(f"{split:>8}" for split in record.SPLITS)]
    for reason in reasons:
        numbers = (report.bad[split][reason] for split in record.SPLITS)
        lines.append(f"  {reason:<{width}}" + "".join(f"{number:>8,}" for number in numbers))
    return "\n".join(lines)


def check_classes(report: Report, require_all_classes: bool) -> None:
    """Raises DataError unless a network can be trained and judged on the good records' classes.

    Args:
      report: What was found.
      require_all_classes: Whether each class needs a record in each split.
    """
    faults = list(class_faults(report.classes, report.num_classes, require_all_classes))
    if faults:
        raise DataError("\n".join(faults))
