"""What can be wrong with the classes of a data set, of whose records each may be good."""

import itertools
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Set

from dataset import record
from dataset.errors import MOST_NAMED, listed

Class = tuple[int, str]  # label, synset; the synset is empty where a record has none


def lacked(labels: Set[int], last: int, name: Callable[[int], str] = str) -> str:
    """The classes that a split lacks, as `2 of 10 classes: 3, 7`; empty if it lacks none.

    Args:
        labels: Those that it has.
        last: The greatest label there is.
        name: Label → how to name it.
    """
    every = range(record.LABEL_BASE, last + 1)  # never made a list: a wrong label may be huge
    number = len(every) - sum(label in every for label in labels)
    if not number:
        return ""
    missing = (label for label in every if label not in labels)
    names = ", ".join(map(name, itertools.islice(missing, MOST_NAMED)))
    others = f" and {number - MOST_NAMED:,} more" if number > MOST_NAMED else ""
    return f"{number:,} of {last:,} classes: {names}{others}"


def class_faults(
    classes: Mapping[str, Mapping[Class, int]], num_classes: int, require_all: bool = True
) -> Iterator[str]:
    """Yields what keeps a network from being trained or judged on the classes of the good records.

    Args:
        classes: Split → label and synset → number of records.
        num_classes: Number of classes; 0 if it is the training split's greatest label.
        require_all: Whether each class needs a record in each split.
    """
    labels = {split: {label for label, _ in found} for split, found in classes.items()}
    empty = [split for split in record.SPLITS if not labels[split]]
    for split in empty:
        yield f"{split} has no good records. Both splits need some"
    yield from _ambiguous(classes)
    if empty:
        return
    if len(labels[record.TRAIN]) == 1:
        yield "all training records have one label. A classifier needs at least two classes"
    last = num_classes or max(labels[record.TRAIN])
    beyond = [str(label) for label in sorted(labels[record.VAL]) if label > last]
    if beyond:
        yield (
            f"val has records with label {listed(beyond)}, beyond train's last, {last}. "
            "The network would have no output for them"
        )
    if not require_all:
        return
    for split in record.SPLITS:
        if lacks := lacked(labels[split], last, lambda label: f"label {label}"):
            yield (
                f"{split} lacks {lacks}. Add images, or have the pipeline take it with "
                "--data.require_all_classes False"
            )


def _ambiguous(classes: Mapping[str, Mapping[Class, int]]) -> Iterator[str]:
    """Yields where labels and synsets are not one to one."""
    synsets: dict[int, set[str]] = defaultdict(set)
    labels: dict[str, set[str]] = defaultdict(set)
    for label, synset in itertools.chain(*classes.values()):
        if synset:
            synsets[label].add(synset)
            labels[synset].add(str(label))
    for label, several in sorted(synsets.items()):
        if len(several) > 1:
            yield f"label {label} stands for several classes: {listed(sorted(several))}"
    for synset, numbers in sorted(labels.items()):
        if len(numbers) > 1:
            yield f"class {synset} has several labels: {listed(sorted(numbers, key=int))}"
