"""S3 and MinIO for TFX's `fileio`, by s3fs: the TensorFlow of TFX reads neither.

The usual variables say where and with which keys: AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID,
AWS_SECRET_ACCESS_KEY, AWS_DEFAULT_REGION, or a role of the pod.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterable
from typing import Any

import s3fs
from tfx.dsl.io import filesystem, filesystem_registry

SCHEMES = ("s3://", "minio://")
PRIORITY = 5  # before TensorFlow's, 10, which claims s3:// too


@dataclasses.dataclass(frozen=True)
class FileStatistics:
    """Size and time of writing of a file, named as TensorFlow does.

    Attributes:
      length: Bytes.
      mtime_nsec: Nanoseconds since 1970.
    """

    length: int
    mtime_nsec: int


class ObjectStore(filesystem.Filesystem):
    """The object store behind `SCHEMES`. It has no folders of its own, only files' names."""

    SUPPORTED_SCHEMES = [*SCHEMES]  # noqa: RUF012

    @staticmethod
    def open(name: str, mode: str = "r") -> Any:
        """See the base class."""
        return _store().open(_key(name), mode, **({} if "b" in mode else {"encoding": "utf-8"}))

    @staticmethod
    def copy(src: str, dst: str, overwrite: bool = False) -> None:
        """See the base class."""
        if not overwrite and ObjectStore.exists(dst):
            raise OSError(f"{dst} is there already")
        _store().copy(_key(src), _key(dst))

    @staticmethod
    def exists(path: str) -> bool:
        """See the base class."""
        return _store().exists(_key(path))

    @staticmethod
    def glob(pattern: str) -> list[str]:
        """See the base class."""
        return [_scheme(pattern) + key for key in sorted(_store().glob(_key(pattern)))]

    @staticmethod
    def isdir(path: str) -> bool:
        """See the base class."""
        return _store().isdir(_key(path))

    @staticmethod
    def listdir(path: str) -> list[str]:
        """See the base class."""
        keys = _store().ls(_key(path), detail=False)
        return sorted(key.rstrip("/").rsplit("/", 1)[1] for key in keys)

    @staticmethod
    def makedirs(path: str) -> None:
        """See the base class; there is nothing to make."""

    mkdir = makedirs

    @staticmethod
    def remove(path: str) -> None:
        """See the base class."""
        _store().rm_file(_key(path))

    @staticmethod
    def rename(src: str, dst: str, overwrite: bool = False) -> None:
        """See the base class; a copy, so not at one go."""
        ObjectStore.copy(src, dst, overwrite)
        ObjectStore.remove(src)

    @staticmethod
    def rmtree(path: str) -> None:
        """See the base class; file by file, and nothing there is no error.

        S3's DeleteObjects takes an MD5 that botocore sends no more: older MinIO refuses it.
        """
        for key in _store().find(_key(path)):
            _store().rm_file(key)

    @staticmethod
    def stat(path: str) -> FileStatistics:
        """See the base class."""
        found = _store().info(_key(path))
        modified = found["LastModified"].timestamp() if "LastModified" in found else 0
        return FileStatistics(found["size"], int(modified * 1e9))

    @staticmethod
    def walk(
        top: str, topdown: bool = True, onerror: Callable[..., None] | None = None
    ) -> Iterable[tuple[str, list[str], list[str]]]:
        """See the base class."""
        for folder, folders, files in _store().walk(_key(top), topdown=topdown):
            yield _scheme(top) + folder, list(folders), list(files)


def register() -> None:
    """Has TFX's `fileio` use the object store."""
    filesystem_registry.DEFAULT_FILESYSTEM_REGISTRY.register(ObjectStore, PRIORITY)


def download(uri: str, folder: str) -> None:
    """Copies all files below `uri` into `folder`, to the same paths inside it.

    Raises:
      FileNotFoundError: There is nothing.
    """
    if not ObjectStore.isdir(uri):
        raise FileNotFoundError(f"{uri}: there is no such folder in the object store")
    _store().get(f"{_key(uri).rstrip('/')}/", folder, recursive=True)


@functools.cache
def _store() -> s3fs.S3FileSystem:
    return s3fs.S3FileSystem(
        use_listings_cache=False,  # others write there too, between two looks of this process
        # Requests are signed with the content's SHA-256. botocore's further checksums are known to
        # few stores but Amazon's, and over https it would send them in place of the SHA-256.
        config_kwargs={"request_checksum_calculation": "when_required"},
    )


def _scheme(uri: str) -> str:
    return uri[: uri.index("://") + 3]


def _key(uri: str) -> str:
    """Bucket and name in it."""
    return uri.removeprefix(_scheme(uri))
