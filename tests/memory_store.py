"""An object store in memory: `memory://`."""

import io
import threading
import time
from types import SimpleNamespace

import pytest
from tfx.dsl.io import filesystem, filesystem_registry


class MemoryStore(filesystem.Filesystem):
    """A double of an object store: whole objects, no folders, no renames; remembers what was done.

    Attributes:
        objects: Contents by URI.
        log: What was written and removed, in order.
        written: When, in nanoseconds since 1970, by URI.
    """

    SUPPORTED_SCHEMES = ("memory://",)
    objects: dict[str, bytes] = {}  # noqa: RUF012
    log: list[tuple[str, str]] = []  # noqa: RUF012
    written: dict[str, int] = {}  # noqa: RUF012
    lock = threading.Lock()

    @classmethod
    def open(cls, name, mode="r"):
        if "w" not in mode:
            content = cls.objects[name]
            return io.BytesIO(content) if "b" in mode else io.StringIO(content.decode())

        class Upload(io.BytesIO if "b" in mode else io.StringIO):
            def close(self):
                content = self.getvalue()
                with cls.lock:
                    cls.log.append(("write", name))
                    cls.objects[name] = content if "b" in mode else content.encode()
                    cls.written[name] = time.time_ns()
                super().close()

        return Upload()

    @classmethod
    def listdir(cls, path):
        with cls.lock:
            below = [name[len(path) + 1 :] for name in cls.objects if name.startswith(f"{path}/")]
        return sorted({f"{n.split('/')[0]}/" if "/" in n else n for n in below})

    @classmethod
    def exists(cls, path):
        return path in cls.objects or bool(cls.listdir(path))

    @classmethod
    def makedirs(cls, path):
        pass

    @classmethod
    def remove(cls, path):
        with cls.lock:
            cls.log.append(("remove", path))
            cls.objects.pop(path, None)  # deleting what is gone is no error in a store

    @classmethod
    def rmtree(cls, path):
        for name in [name for name in cls.objects if name.startswith(f"{path}/")]:
            cls.remove(name)

    @classmethod
    def walk(cls, top, topdown=True, onerror=None):
        files = {}
        for name in list(cls.objects):
            if name.startswith(f"{top}/"):
                parent, _, file = name.rpartition("/")
                files.setdefault(parent, []).append(file)
        yield from ((parent, [], names) for parent, names in files.items())

    @classmethod
    def isdir(cls, path):
        return bool(cls.listdir(path))

    @classmethod
    def stat(cls, path):
        return SimpleNamespace(length=len(cls.objects[path]), mtime_nsec=cls.written[path])

    copy = glob = mkdir = rename = classmethod(NotImplemented)


filesystem_registry.DEFAULT_FILESYSTEM_REGISTRY.register(MemoryStore, priority=0)


@pytest.fixture
def store():
    """The object store that is at memory://, empty."""
    MemoryStore.objects.clear()
    MemoryStore.log.clear()
    return MemoryStore
