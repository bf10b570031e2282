"""What a user should know of copies in a collection: images that are the same, byte for byte."""

import numpy as np

from dataprep.collection import Collection, LabelledImage
from dataset import record
from dataset.errors import listed

NAMED = 3  # pairs


def remarks(collection: Collection) -> list[str]:
    """Tells of images in several classes, of those in both splits, and of other copies.

    They are compared by size and CRC-32, so of some thousand million pairs of one size one is none.
    """
    rows, firsts = collection.rows, collection.first_copies()
    indices = np.arange(len(rows))
    train = rows["split"] == record.SPLITS.index(record.TRAIN)
    trained = np.full(len(rows), -1)  # first copy → a copy in the training split
    trained[firsts[train]] = indices[train]
    twins = trained[firsts]
    leaked = ~train & (twins >= 0)
    other_class = rows["synset"] != rows["synset"][firsts]
    told_of = np.isin(firsts, firsts[leaked | other_class])
    copies = (firsts != indices) & ~told_of

    _, one_each = np.unique(firsts[other_class], return_index=True)
    ambiguous = indices[other_class][one_each]
    told = []
    if len(ambiguous):
        told.append(
            f"{len(ambiguous):,} images are in several classes, byte for byte: "
            f"{_pairs(collection, ambiguous, firsts)}. No model can tell which is right. They were "
            "taken as they are: leave each in one class, and remove it from the others"
        )
    if leaked.any():
        told.append(
            f"{leaked.sum():,} validation images are in the training split too, byte for byte: "
            f"{_pairs(collection, indices[leaked], twins)}. What a model scores on them tells "
            "nothing: remove them from one of the two"
        )
    if copies.any():
        told.append(
            f"{copies.sum():,} images are copies of others in their class and split: "
            f"{_pairs(collection, indices[copies], firsts)}"
        )
    return told


def _pairs(collection: Collection, indices: np.ndarray, partners: np.ndarray) -> str:
    """Names some images by their indices, and the partners that they are the same as."""
    paths = [
        f"{_path(collection, index)} = {_path(collection, partners[index])}"
        for index in indices[:NAMED]
    ]
    return listed(paths + [""] * (len(indices) - len(paths)), NAMED)


def _path(collection: Collection, index: int) -> str:
    return LabelledImage.from_line(collection.line(collection.rows[index])).entry.path
