"""From a collection of images to a data set's folder: deal, write, leave out what is unusable."""

import math
import sys
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from dataprep import copies
from dataprep.collection import Collection, Unusable, deal
from dataprep.errors import PreparationError, UsageError
from dataprep.flags import Job
from dataprep.output import make_dataset
from dataprep.shards import write_manifest
from dataset import record
from dataset.errors import listed

if TYPE_CHECKING:  # imports Beam, for which a wrong usage does not wait
    from dataprep.write import Written


def convert(collection: Collection, names: Mapping[str, str], job: Job) -> bool:
    """Writes a collection as a data set's folder.

    Args:
        collection: The images.
        names: Synset → the class's name, in label order.
        job: What is to be made.

    Returns:
        Whether it was written: False when this very data set is there already; it is not touched.

    Raises:
        UsageError: The collection, or what is at the output, forbids it.
        PreparationError: Too many images are unusable, or Beam failed.
        OSError: The folder cannot be written.
    """
    _check_names(names.values())
    collection.check()
    tell(copies.remarks(collection))
    made_by = {"command": job.command, "source_sha256": collection.digest(names)}

    def fill(folder: str) -> None:
        written = _write(folder, collection, job)
        left_out = {image.file: image.reason for image in (*job.left_out, *written.unusable)}
        write_manifest(folder, made_by, names, written.shards, left_out, written.doubtful)

    return make_dataset(job.making.output, made_by, fill)


def tell(remarks: Iterable[str]) -> None:
    """Says on stderr what a user should know, and what was decided that may be meant otherwise."""
    sys.stderr.writelines(f"note: {remark}\n" for remark in remarks)


def tell_ignored(paths: list[str]) -> None:
    """Says on stderr which files of the source are no images, or in no class."""
    if paths:
        sys.stderr.write(
            f"ignored {len(paths):,} files that are no images by their names, or in no class's "
            f"folder: {listed(paths)}\n"
        )


def _check_names(names: Iterable[str]) -> None:
    for name in names:
        controls = any(unicodedata.category(letter) == "Cc" for letter in name)
        if controls or name != name.strip() or len(name.splitlines()) != 1:
            raise UsageError(
                f"{name!r} cannot be a class's name in {record.LABELS_FILE}, which has one a line: "
                "no line breaks, nor other control characters, and no white space at the ends. "
                "Rename the class's folder"
            )


def _write(folder: str, collection: Collection, job: Job) -> "Written":
    """Writes the shards; again without them when some images turn out to be unusable.

    Leaving gaps would be quicker, but the shards would not be even.
    """
    from dataprep.write import write_shards  # imports Beam, for which a wrong usage does not wait

    making = job.making
    unusable: list[Unusable] = []
    while True:
        kept = collection.without([image.key for image in unusable])
        kept.check()
        plan = {}
        for split, number in job.shards.items():
            rows = kept.of(split)
            for index, hand in enumerate(deal(rows["synset"], number, making.seed)):
                plan[record.shard_name(split, index, number)] = rows[hand]
        written = write_shards(folder, kept, plan, job)
        if not written.unusable:
            return written._replace(unusable=unusable)
        unusable += written.unusable
        check_budget(collection, unusable, making.max_left_out)


def check_budget(collection: Collection, unusable: Sequence[Unusable], max_share: float) -> None:
    """Refuses to leave out more than a share of any class's images, and so of all images.

    Raises:
        PreparationError: It would be more; the message has a table of the reasons.
    """
    sizes = collection.sizes()
    lost = Counter(image.synset for image in unusable)
    worst = max(lost, key=lambda synset: lost[synset] / sizes[synset])
    share = lost[worst] / sizes[worst]
    if share > max_share:
        raise PreparationError(
            f"{len(unusable):,} of {len(collection.rows):,} images cannot be used:\n"
            f"{_table(unusable)}\n"
            f"They are {lost[worst]:,} of the {sizes[worst]:,} of class {worst}; a share of "
            f"{max_share:g} of a class may be left out. Nothing was written. {_advice(share)}"
        )


def check_share(unusable: Sequence[Unusable], number: int, max_share: float) -> None:
    """Refuses to leave out more than a share of records that have no class, or no image at all.

    Raises:
        PreparationError: Of `number` records it would be more; the message has a table.
    """
    share = len(unusable) / number
    if share > max_share:
        raise PreparationError(
            f"{len(unusable):,} of {number:,} records cannot be used:\n{_table(unusable)}\n"
            f"A share of {max_share:g} may be left out. Nothing was written. {_advice(share)}"
        )


def _table(unusable: Sequence[Unusable]) -> str:
    """A line for each rule that is broken, with the details of one image that breaks it."""
    by_rule = defaultdict(list)
    for image in sorted(unusable, key=lambda image: image.file):
        rule, _, details = image.reason.partition(": ")
        detailed = details and rule not in by_rule
        by_rule[rule].append(f"{image.file} ({details})" if detailed else image.file)
    width = max(map(len, by_rule))
    return "\n".join(
        f"{len(files):9,}  {rule:<{width}}  {listed(files)}"
        for rule, files in sorted(by_rule.items(), key=lambda row: -len(row[1]))
    )


def _advice(share: float) -> str:
    """What to do about this share of unusable images, all of which cannot be left out."""
    needed = math.ceil(share * 1000) / 1000
    leave_out = f", or leave them out with --max-left-out {needed:g}" if needed < 1 else ""
    return f"Mend or remove them{leave_out}"
