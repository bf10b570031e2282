"""How many images may be left out of a data set, and what is said when there are more."""

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from components.dataset import listed
from dataprep.collection import Collection
from dataprep.errors import PreparationError


@dataclass(frozen=True)
class Unusable:
    """An image that cannot be used."""

    key: int  # as the collection has it
    synset: str
    file: str  # path inside the source
    reason: str  # a rule, then a colon and details


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
            f"{max_share:g} of a class may be left out. Nothing was written. Mend or remove them, "
            f"or leave them out with --max-left-out {_rounded_up(share):g}"
        )


def _table(unusable: Sequence[Unusable]) -> str:
    files = defaultdict(list)
    for image in unusable:
        files[image.reason.partition(":")[0]].append(image.file)
    width = max(map(len, files))
    return "\n".join(
        f"{len(paths):9,}  {reason:<{width}}  {listed(sorted(paths))}"
        for reason, paths in sorted(files.items(), key=lambda row: -len(row[1]))
    )


def _rounded_up(share: float) -> float:
    return math.ceil(share * 1000) / 1000
