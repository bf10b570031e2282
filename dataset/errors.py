"""What is said of data that cannot be used."""

MOST_NAMED = 3  # shards that an error names; the others are counted


class DataError(ValueError):
    """The data cannot be used; the message names the file, the rule and what to do."""


def listed(names: list[str], most: int = MOST_NAMED, separator: str = ", ") -> str:
    """The first of `names`, and how many more there are."""
    others = len(names) - most
    return separator.join(names[:most]) + (f" and {others:,} more" if others > 0 else "")
