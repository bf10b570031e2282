"""The folder of versions that TF Serving polls, in an object store: no renames and no locks there.

A version without `saved_model.pb` cannot be loaded, so that file is written last.
"""

import random
import re
import time
import uuid
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from served_model.files import SAVED_MODEL, digest, model_files
from served_model.receipt import RECEIPT_FILE, Receipt
from served_model.versions import version_numbers

_CLAIM = re.compile(r"\.claim-([0-9]+)-[0-9a-f]+")  # TF Serving ignores names that are not numbers


class Files(Protocol):
    """File operations on folders and URIs alike, as the module `tfx.dsl.io.fileio` has them."""

    def open(self, path: str, mode: str = "r") -> Any:
        """Opens a file."""

    def exists(self, path: str) -> bool:
        """Whether there is a file or folder."""

    def listdir(self, path: str) -> Iterable[str]:
        """The names in a folder."""

    def walk(self, top: str) -> Iterable[tuple[str, list[str], list[str]]]:
        """As `os.walk`."""

    def makedirs(self, path: str) -> None:
        """Makes a folder and those above it, where they are missing."""

    def copy(self, src: str, dst: str, overwrite: bool = False) -> None:
        """Copies a file."""

    def remove(self, path: str) -> None:
        """Deletes a file."""

    def rmtree(self, path: str) -> None:
        """Deletes a folder."""


def copy_model(source: str, destination: str, files: Files) -> None:
    """Copies a SavedModel's files to the folder `destination`; both may be anywhere."""
    copy_files(source, model_files(source, files.walk), destination, files)


def copy_files(source: str, names: Sequence[str], destination: str, files: Files) -> None:
    """Copies, in their order, the files at the paths `names` inside `source` to `destination`."""
    for name in names:
        target = f"{destination}/{name}"
        files.makedirs(target.rpartition("/")[0])
        files.copy(f"{source}/{name}", target)


def holds(folder: str, model_digest: str, files: Files) -> bool:
    """Whether the SavedModel in `folder` is the one with the digest `model_digest`."""
    try:
        names = model_files(folder, files.walk)
    except FileNotFoundError:
        return False
    return digest(folder, names, files.open) == model_digest


class VersionStore:
    """A model's versions in an object store; the highest is the one that TF Serving serves.

    Args:
      uri: The folder's.
      files: What reads and writes there.
    """

    def __init__(self, uri: str, files: Files) -> None:
        self.uri = uri.rstrip("/")  # to an object store a// is not a/
        self._files = files

    def versions(self) -> list[int]:
        """The versions' numbers, ascending; also of those whose upload did not end."""
        return version_numbers(self._names())

    def newest(self) -> str | None:
        """The folder of the newest whole version; None if there is none."""
        whole = self._whole(self.versions())
        return f"{self.uri}/{whole[-1]}" if whole else None

    def push(self, source: str, receipt: Receipt, keep: int) -> tuple[int, bool]:
        """Makes a model the newest version, unless it is that already, and prunes.

        Args:
          source: The model's folder.
          receipt: What is known of the model.
          keep: How many versions stay.

        Returns:
          The version that is served, and whether it is a new one.

        Raises:
          OSError: The model could not be copied; no version was made.
        """
        newest = max(self.versions(), default=None)
        if newest is not None and holds(f"{self.uri}/{newest}", receipt.model_digest, self._files):
            version, pushed = newest, False
        else:
            version, pushed = self._claim(), True
            self._upload(source, receipt.published(version), f"{self.uri}/{version}")
        self._prune(keep)
        return version, pushed

    def _whole(self, versions: Sequence[int]) -> list[int]:
        return [v for v in versions if self._files.exists(f"{self.uri}/{v}/{SAVED_MODEL}")]

    def _names(self) -> list[str]:
        names = self._files.listdir(self.uri) if self._files.exists(self.uri) else []
        return [name.strip("/") for name in names]

    def _claim(self) -> int:
        """A number above all that are and were in use, which no other pusher takes.

        A pusher writes a claim and then looks whether it is the highest. What was written is listed
        from then on, so of two pushers one sees the other at least, and takes a higher number.
        """
        token = uuid.uuid4().hex
        spread = 1
        while True:
            version = max(int(time.time()), self._highest() + 1) + random.randrange(spread)
            claim = f".claim-{version}-{token}"
            self._write(f"{self.uri}/{claim}", token)
            if self._highest(but=claim) < version:
                return version
            spread *= 2  # else two that meet would meet again

    def _highest(self, but: str = "") -> int:
        """The highest number in use, by a version or by a claim other than `but`."""
        names = [_CLAIM.sub(r"\1", name) for name in self._names() if name != but]
        return max(version_numbers(names), default=0)

    def _upload(self, source: str, receipt: Receipt, folder: str) -> None:
        *others, saved_model = model_files(source, self._files.walk)
        try:
            self._write(f"{folder}/{RECEIPT_FILE}", receipt.to_json())
            copy_files(source, others, folder, self._files)
            if digest(folder, others, self._files.open) != digest(source, others, self._files.open):
                raise OSError(f"{folder}: the copy differs from {source}; push it again")
            copy_files(source, [saved_model], folder, self._files)
        except BaseException:
            if self._files.exists(folder):
                self._files.rmtree(folder)
            raise

    def _write(self, path: str, text: str) -> None:
        self._files.makedirs(path.rpartition("/")[0])
        with self._files.open(path, "w") as file:
            file.write(text)

    def _prune(self, keep: int) -> None:
        """Deletes what is older than the newest `keep` whole versions, and claims that are used up.

        The highest claim stays: it holds the highest number that was ever in use.
        """
        versions = self.versions()
        whole = self._whole(versions)
        if len(whole) >= keep:
            for version in versions[: versions.index(whole[-keep])]:
                if version in whole:  # from now on nobody takes what is left of it for a model
                    self._files.remove(f"{self.uri}/{version}/{SAVED_MODEL}")
                self._files.rmtree(f"{self.uri}/{version}")
        for name in self._names():
            claim = _CLAIM.fullmatch(name)
            if claim and int(claim[1]) < versions[-1]:
                self._files.remove(f"{self.uri}/{name}")
