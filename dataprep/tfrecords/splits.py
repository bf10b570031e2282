"""Which of a source's files, or of its splits, are for training and which for validation."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from dataprep.errors import UsageError
from dataset import record
from dataset.errors import listed

TEST = "test"
WORDS = {
    "train": record.TRAIN,
    "training": record.TRAIN,
    "val": record.VAL,
    "valid": record.VAL,
    "validation": record.VAL,
    "dev": record.VAL,
    "test": TEST,
    "testing": TEST,
    "eval": TEST,
    "evaluation": TEST,
}


@dataclass(frozen=True)
class Splits:
    """What becomes of the parts of a source.

    Attributes:
        of: Name of a part → its split, `train` or `val`; a part without one is left out.
        told: What was decided, in a line.
        whole: Whether there is a training split only, of which a share becomes validation's.
    """

    of: Mapping[str, str]
    told: str
    whole: bool


def by_file_names(names: Iterable[str]) -> Splits:
    """Decides by the files' names and, where these tell nothing, by the folders they lie in.

    Raises:
        UsageError: They do not tell.
    """
    found = {name: _by_words(name) for name in names}
    unknown = [name for name, split in found.items() if not split]
    if len(unknown) == len(found):
        return Splits(dict.fromkeys(found, record.TRAIN), "no names of splits", whole=True)
    if unknown:
        known = next(name for name, split in found.items() if split)
        raise UsageError(
            f"which split is {listed(unknown)} of? {known} tells it by its name. Rename the files, "
            f"or put them into folders called {record.TRAIN} and {record.VAL}, or leave them out "
            "of --source"
        )
    return _decide({name: split for name, split in found.items() if split})


def by_split_names(names: Iterable[str]) -> Splits:
    """Decides by the names that tensorflow_datasets has for splits; others are left out.

    Raises:
        UsageError: None is for training.
    """
    return _decide({name: WORDS.get(name.lower(), name) for name in names})


def _by_words(name: str) -> str | None:
    """The split that a file's name or, else, one of its folders' tells of."""
    for part in reversed(name.split("/")):
        words = re.findall(r"[a-z]+", part.lower())
        found = {WORDS[word] for word in words if word in WORDS}
        if len(found) > 1:
            raise UsageError(
                f"{name}: {part!r} names several splits, {' and '.join(sorted(found))}. Rename it"
            )
        if found:
            return found.pop()
    return None


def _decide(found: Mapping[str, str]) -> Splits:
    """Chooses the validation split: that called so, or else the test split.

    Args:
        found: Name of a part → the split that it is called.
    """
    there = set(found.values())
    if record.TRAIN not in there:
        raise UsageError(
            f"the source has no training split, but {listed(sorted(found))}. Give its files as "
            "--source 'FOLDER/*…' if they are for training"
        )
    held_out = next((split for split in (record.VAL, TEST) if split in there), None)
    of = {
        name: record.TRAIN if split == record.TRAIN else record.VAL
        for name, split in found.items()
        if split in (record.TRAIN, held_out)
    }
    out = sorted(set(found).difference(of))
    parts = {split: [name for name in sorted(of) if of[name] == split] for split in record.SPLITS}
    told = [f"{split} from {listed(names)}" for split, names in parts.items() if names]
    if out:
        told.append(f"left out: {listed(out)}")
    return Splits(of, "; ".join(told), whole=held_out is None)
