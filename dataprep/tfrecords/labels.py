"""Labels of other tools' records: numbers from 0 or from 1, one-hot vectors, or names."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dataprep.errors import UsageError
from dataset import record
from dataset.conversion import described, values
from dataset.example import Feature

NUMBER, ONE_HOT, NAME = "number", "one-hot vector", "name"  # kinds of labels
TEXT_KEYS = ("image/class/text", record.SYNSET)  # features that name a numbered class


class LabelError(ValueError):
    """A record's label cannot be used; the message is the reason: a rule, a colon and details."""


@dataclass(frozen=True)
class ClassNames:
    """What names the classes of a source.

    Attributes:
        names: In label order; empty where only the records tell.
        source: Where they are from, to be named.
    """

    names: tuple[str, ...] = ()
    source: str = ""


@dataclass(frozen=True)
class Classes:
    """The classes that the labels mean.

    Attributes:
        names: A label, as `LabelReader.read` gives it → the class's name, in label order.
        told: What the labels are, in a line.
        unused: Names of classes that no record has.
    """

    names: Mapping[str, str]
    told: str
    unused: tuple[str, ...]


class LabelReader:
    """Reads the labels of all records, and tells at the end which classes they mean.

    Args:
        key: The feature that holds them.
        base: The first class's number; None if the labels are to tell it.
        named: The classes' names.
    """

    def __init__(self, key: str, base: int | None, named: ClassNames) -> None:
        self._key = key
        self._base = base
        self._named = named
        self._known = frozenset(named.names)
        self._kind = ""  # of the first label; all have to be of the same
        self._found: set[str] = set()
        # Feature → label → what it is called; without the features that contradict themselves.
        self._texts: dict[str, dict[str, str]] = {key: {} for key in TEXT_KEYS}

    def read(self, features: Mapping[str, Feature]) -> str:
        """The label of a record: its number or its name, as text.

        Raises:
            LabelError: It has none that can be used.
        """
        if self._key not in features or not values(features[self._key]):
            raise LabelError(f"no label: it has no value of `{self._key}`")
        feature = features[self._key]
        kind, label = _parse(feature)
        self._kind = self._kind or kind
        if kind != self._kind:
            raise LabelError(
                f"label of another kind: `{self._key}` is a {kind} ({described(feature)}); in the "
                f"first record it is a {self._kind}"
            )
        self._check_name(label) if isinstance(label, str) else self._check_number(label)
        self._found.add(str(label))
        self._note_texts(str(label), features)
        return str(label)

    def _check_number(self, label: int) -> None:
        counts_from = 0 if self._kind == ONE_HOT else self._base
        least = counts_from or 0
        # Where it is not known what they count from, the last of N may be N - 1 or N.
        most = least + len(self._known) - (counts_from is not None)
        if label < least or (self._known and label > most):
            legal = f"{least}..{most}" if self._known else f"{least} or more"
            raise LabelError(f"label out of range: {label} is not {legal}")

    def _check_name(self, label: str) -> None:
        if not is_name(label):
            raise LabelError(
                f"label is no name: {label!r} is empty, or has a line break, or white space at an "
                "end"
            )
        if self._known and label not in self._known:
            raise LabelError(f"label unknown: {label!r} is not in {self._named.source}")

    def _note_texts(self, label: str, features: Mapping[str, Feature]) -> None:
        for key, texts in list(self._texts.items()):
            found = features[key].bytes_list.value if key in features else ()
            text = found[0].decode(errors="replace") if found else ""
            if text and texts.setdefault(label, text) != text:
                del self._texts[key]

    def classes(self) -> Classes:
        """The classes, once all labels are read.

        Raises:
            UsageError: The labels do not tell.
        """
        if self._base is not None and self._kind in (NAME, ONE_HOT):
            raise UsageError(
                f"--label-base {self._base}: the labels in `{self._key}` are {self._kind}s, which "
                "do not count from a number. Leave it out"
            )
        if self._kind == NAME:
            names = {label: label for label in self._named.names or sorted(self._found)}
            told = "labels: names"
        else:
            names, told = self._numbered(sorted(map(int, self._found)))
        if self._known:
            told += f"; classes named by {self._named.source}"
        used = {label: name for label, name in names.items() if label in self._found}
        return Classes(used, told, tuple(names[label] for label in names if label not in used))

    def _numbered(self, numbers: Sequence[int]) -> tuple[dict[str, str], str]:
        """The names of numbered classes by label, and what the numbers are."""
        told = f"labels: {self._kind}s, {numbers[0]} to {numbers[-1]}" if numbers else "no labels"
        if not self._known:
            names, source = self._named_by_records(list(map(str, numbers)))
            return names, f"{told}; classes named by {source}"
        base = 0 if self._kind == ONE_HOT else self._base
        if base is None:
            base = self._guess_base(numbers)
        told = f"{told}, counted from {base}"
        return {str(number): name for number, name in enumerate(self._named.names, base)}, told

    def _named_by_records(self, labels: Sequence[str]) -> tuple[dict[str, str], str]:
        """The names of classes of which only the records tell, and what names them."""
        for key, texts in self._texts.items():
            if texts.keys() != set(labels) or not all(map(is_name, texts.values())):
                continue
            if len(set(texts.values())) == len(labels):
                return {label: texts[label] for label in labels}, f"`{key}`"
        return {label: label for label in labels}, "their numbers"

    def _guess_base(self, numbers: Sequence[int]) -> int:
        """What the numbers count from, where it is not known and the names are."""
        number = len(self._known)
        first, last = 0 in numbers, number in numbers
        if first != last:
            return 0 if first else 1
        problem = (
            f"{number + 1} classes need as many names. Complete them"
            if first
            else "it is not clear whether they count from 0 or from 1. Say it with --label-base"
        )
        raise UsageError(
            f"the labels are {numbers[0]} to {numbers[-1]}, and {self._named.source} has {number} "
            f"names: {problem}"
        )


def is_name(text: str) -> bool:
    """Whether it can be a line of `labels.txt`."""
    return text == text.strip() and len(text.splitlines()) == 1


def _parse(feature: Feature) -> tuple[str, int | str]:
    """What kind of label it is, and the number or the name."""
    found = values(feature)
    if len(found) > 1:
        return ONE_HOT, _hot(feature)
    [value] = found
    if isinstance(value, bytes):
        try:
            return NAME, value.decode()
        except UnicodeDecodeError as error:
            raise LabelError(f"label is no name: {described(feature)}, is not UTF-8") from error
    if not float(value).is_integer():
        raise LabelError(f"label is no number of a class: {value}")
    return NUMBER, int(value)


def _hot(feature: Feature) -> int:
    """The class of a one-hot vector, from 0."""
    hot = [index for index, value in enumerate(values(feature)) if value]
    if len(hot) != 1 or values(feature)[hot[0]] != 1:
        raise LabelError(f"several labels: {described(feature)}, which are no one-hot vector")
    return hot[0]
