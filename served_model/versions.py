"""The folder of versions that TF Serving polls, on a file system with atomic renames and locks.

Pusher and the operator's command share it. Nothing of TensorFlow is imported here.
"""

import contextlib
import dataclasses
import fcntl
import functools
import logging
import os
import re
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from served_model.files import digest, model_files
from served_model.receipt import RECEIPT_FILE, Receipt, read_receipt

# TF Serving ignores names that are not numbers.
LOCK_FILE = ".last_version"  # locked by whoever changes the folder; holds the last number given
HIDDEN = ".tmp-"  # and a version's number: a version that is being written or deleted

_VERSION = re.compile("0|[1-9][0-9]{0,17}")  # all these fit into TF Serving's int64
_LAST_LENGTH = 20  # bytes

logger = logging.getLogger(__name__)


class VersionError(Exception):
    """What was asked of a folder of versions cannot be done with what it holds."""


def version_numbers(names: Iterable[str]) -> list[int]:
    """The numbers, ascending, of the versions among folders called `names`."""
    return sorted(int(name) for name in names if _VERSION.fullmatch(name))


class VersionFolder:
    """A model's versions; the highest is the one that TF Serving serves.

    A version appears whole, by a rename, and no file of it is written again. Whoever changes the
    folder holds a lock, which the system frees at his death. What a killed process left is swept by
    whoever comes next.

    Args:
      path: The folder; made when the first version is pushed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def versions(self) -> list[int]:
        """The versions' numbers, ascending."""
        return version_numbers(self._names()) if self.path.exists() else []

    def receipt(self, version: int) -> Receipt | None:
        """The version's push receipt, if it has one."""
        return read_receipt(self.path / str(version))

    def push(self, copy: Callable[[str], object], receipt: Receipt, keep: int) -> tuple[int, bool]:
        """Makes a model the newest version, unless it is that already, and prunes.

        Args:
          copy: Writes the model's files into the folder whose path it is given.
          receipt: What is known of the model.
          keep: How many versions stay.

        Returns:
          The version that is served, and whether it is a new one.

        Raises:
          OSError: The folder cannot be written; no version was made.
        """
        with self._changing() as lock:
            newest = max(self.versions(), default=None)
            if newest is not None and self._settles(newest, receipt.model_digest):
                version, pushed = newest, False
            else:
                version, pushed = self._publish(lock, copy, receipt), True
            self._prune(keep)
        return version, pushed

    def prune(self, keep: int) -> list[int]:
        """Deletes the oldest versions but for the newest `keep`, and returns their numbers."""
        with self._changing():
            return self._prune(keep)

    def rollback(self, to: int | None = None) -> int:
        """Makes an older version's model the newest version and returns that version's number.

        A version below those there would not be served, so the older one gets a new number. Its
        files are linked, not copied: a full disk does not stand in the way.

        Args:
          to: The older version; by default the one before the version that is served, or before
            the one which that is a copy of.

        Raises:
          VersionError: There is no such version, or it is damaged.
        """
        with self._changing() as lock:
            newest, target = self._rollback_target(to)
            source = str(self.path / str(target))
            model_digest = digest(source, model_files(source))
            receipt = self.receipt(target) or Receipt(model_digest)
            if receipt.model_digest != model_digest:
                raise VersionError(
                    f"{source} is damaged: its files are not those of its push receipt; "
                    "choose another version"
                )
            if self._holds(newest, model_digest):
                return newest
            origin = target if receipt.copy_of is None else receipt.copy_of
            withdrawn = self._withdrawn_with(newest) - {model_digest}
            receipt = dataclasses.replace(
                receipt, copy_of=origin, withdrawn=tuple(sorted(withdrawn))
            )
            return self._publish(lock, functools.partial(_link, source), receipt)

    def _names(self) -> list[str]:
        return [path.name for path in self.path.iterdir()]

    def _rollback_target(self, to: int | None) -> tuple[int, int]:
        """The version that is served, and the one to be served in its stead."""
        versions = self.versions()
        if not versions:
            raise VersionError(f"{self.path} holds no versions")
        newest = versions[-1]
        if to is not None:
            if to not in versions:
                there = ", ".join(map(str, versions))
                raise VersionError(f"{self.path} has no version {to}; there are {there}")
            return newest, to
        receipt = self.receipt(newest)
        copied = receipt.copy_of if receipt else None
        origin = newest if copied is None else copied
        older = [version for version in versions if version < origin]
        if not older:
            raise VersionError(
                f"{self.path} has no version older than {origin}, whose model is served; "
                "choose one with --to"
            )
        return newest, older[-1]

    def _holds(self, version: int, model_digest: str) -> bool:
        folder = str(self.path / str(version))
        try:
            return digest(folder, model_files(folder)) == model_digest
        except FileNotFoundError:
            return False

    def _settles(self, newest: int, model_digest: str) -> bool:
        """Whether a model is not to be pushed: it is there, or a rollback took it out of service.

        Without the latter a pipeline that runs every night would undo a rollback the same night.
        """
        receipt = self.receipt(newest)
        if receipt and model_digest in receipt.withdrawn:
            logger.warning("%s: not pushed: a rollback took this model out of service", self.path)
            return True
        return self._holds(newest, model_digest)

    def _withdrawn_with(self, newest: int) -> set[str]:
        """Digests of what is out of service once the version `newest` is rolled back as well."""
        receipt = self.receipt(newest)
        if receipt:
            return {*receipt.withdrawn, receipt.model_digest}
        folder = str(self.path / str(newest))
        try:
            return {digest(folder, model_files(folder))}
        except FileNotFoundError:
            return set()

    @contextlib.contextmanager
    def _changing(self) -> Iterator[int]:
        """Keeps others from changing the folder, and sweeps it; yields the lock file's number."""
        self.path.mkdir(parents=True, exist_ok=True)
        lock = os.open(self.path / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            _lock(lock, self.path)
            for hidden in self.path.glob(f"{HIDDEN}*"):
                _remove(hidden)
            yield lock
        finally:
            os.close(lock)

    def _publish(self, lock: int, copy: Callable[[str], object], receipt: Receipt) -> int:
        version = self._next_number(lock)
        staging = self.path / f"{HIDDEN}{version}"
        try:
            copy(str(staging))
            if digest(str(staging), model_files(str(staging))) != receipt.model_digest:
                raise OSError(f"{staging}: the copy differs from the model; push it again")
            (staging / RECEIPT_FILE).parent.mkdir(exist_ok=True)
            (staging / RECEIPT_FILE).write_text(receipt.published(version).to_json(), "utf-8")
            for parent, _, names in os.walk(staging):
                for name in names:
                    _sync(f"{parent}/{name}")
                _sync(parent)
            staging.rename(self.path / str(version))
        except BaseException:
            _remove(staging)  # on a full disk it would keep the next push from succeeding
            raise
        _sync(self.path)
        return version

    def _next_number(self, lock: int) -> int:
        """A number above all there are and ever were: the time in seconds since 1970, or higher."""
        last = os.pread(lock, _LAST_LENGTH, 0)
        used = version_numbers(name.removeprefix(HIDDEN) for name in self._names())
        used.append(int(last) if last.isdigit() else 0)
        version = max(int(time.time()), max(used) + 1)
        # As many bytes each time, in one write: a kill leaves the old number or the new one.
        os.pwrite(lock, b"%0*d" % (_LAST_LENGTH, version), 0)
        return version

    def _prune(self, keep: int) -> list[int]:
        pruned = self.versions()[:-keep]
        for version in pruned:
            hidden = self.path / f"{HIDDEN}{version}"
            (self.path / str(version)).rename(hidden)
            _sync(self.path)
            _remove(hidden)  # a server that has its files open or mapped can go on reading them
        return pruned


def _lock(descriptor: int, path: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        logger.warning("%s is being changed by another process; waiting for it", path)
        fcntl.flock(descriptor, fcntl.LOCK_EX)


def _link(source: str, destination: str) -> None:
    """Makes the model in `source` one in `destination` too, by links where they can be made."""
    for name in model_files(source):
        target = Path(destination, name)
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            target.hardlink_to(Path(source, name))
        except OSError:  # another's file, or a file system without links
            shutil.copyfile(Path(source, name), target)


def _remove(folder: Path) -> None:
    """Deletes a hidden folder; what cannot be deleted now is left to the next sweep."""
    shutil.rmtree(
        folder, onerror=lambda _, path, error: logger.warning("not deleted: %s: %s", path, error[1])
    )


def _sync(path: str | Path) -> None:
    """Returns when a file, or a folder's list of names, would outlast a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
