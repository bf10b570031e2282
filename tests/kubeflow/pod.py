"""A fresh pod for one attempt of a task: a process in a root of its own.

The host's folders are there read-only, as the image; `/tmp`, the launcher's scratch folders and
the volumes are private, and gone when the pod is. Nothing else can be written.
"""

import dataclasses
import functools
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

# Empty folders in every executor's pod (argocompiler/container.go, the scratch volumes), and /tmp.
SCRATCH = ("/tmp", "/minio", "/s3", "/gcs", "/kfp-launcher", "/.local", "/.cache", "/.config")

_SHARED_MEMORY = "64m"  # Docker's and containerd's default for /dev/shm
_SANDBOX = Path(__file__).with_name("sandbox.py")
_CHECKOUT = Path(__file__).parents[2]


def _is_scratch(path: str) -> bool:
    return any(Path(path).is_relative_to(folder) for folder in SCRATCH)


class SandboxUnavailableError(RuntimeError):
    """Neither root nor user namespaces: no private root can be made on this machine."""


@dataclasses.dataclass(frozen=True)
class Volume:
    """A volume of a pod.

    Attributes:
        path: Where the container sees it.
        folder: The host's folder; None is an empty one in memory.
        read_only: Whether it may not be written.
        size: Of one in memory, as mount(8) takes it.
    """

    path: str
    folder: Path | None = None
    read_only: bool = False
    size: str = _SHARED_MEMORY


@dataclasses.dataclass(frozen=True)
class Image:
    """The container image, which here is the host's file system with some changes.

    Attributes:
        environment: What the image defines (PATH, HOME, …). Nothing is taken from the test's own.
        working_folder: Where the command starts.
        user: Numeric user and group the container runs as; None runs it as whoever runs the test.
        folders: Folders the image has and the host keeps elsewhere: path in the container → host's.
        hidden: Folders of the host that the image lacks: they are empty.
    """

    environment: Mapping[str, str] = dataclasses.field(
        default_factory=lambda: {"PATH": os.defpath, "HOME": "/tmp"}
    )
    working_folder: str = "/"
    user: int | None = None
    folders: Mapping[str, Path] = dataclasses.field(default_factory=dict)
    hidden: Sequence[str] = ()

    def volumes(self) -> list[Volume]:
        """Returns what makes the host's file system the image's."""
        # A checkout below /tmp, say, and its Python would be hidden by the pod's own /tmp.
        ours = {str(_CHECKOUT), sys.prefix, sys.base_prefix}
        folders = {path: path for path in ours if _is_scratch(path)} | dict(self.folders)
        shown = [Volume(path, Path(folder), True) for path, folder in folders.items()]
        return [Volume(path, None, read_only=True, size="4k") for path in self.hidden] + shown


@dataclasses.dataclass(frozen=True)
class Ended:
    """How a pod's process ended.

    Attributes:
        exit_code: As a shell gives it, 128 and more for a signal.
        log: Both of its streams, as the launcher's log has them.
        seconds: How long it ran.
    """

    exit_code: int
    log: str
    seconds: float


def _unshare() -> list[str]:
    return (
        ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--mount"]
    )


@functools.cache
def why_unavailable() -> str | None:
    """Returns why pods can not be made on this machine, or None if they can."""
    if shutil.which("unshare") is None:
        return "unshare (util-linux) is not installed"
    tried = subprocess.run([*_unshare(), "true"], capture_output=True, text=True)
    return None if tried.returncode == 0 else f"no mount namespace: {tried.stderr.strip()}"


class Pod:
    """One pod, before, while and after its process runs.

    Attributes:
        task: Name of its task.
        attempt: 1 for the first.
        process: The running process, from `start` on.
    """

    def __init__(
        self, folder: Path, image: Image, volumes: Sequence[Volume], task: str, attempt: int
    ) -> None:
        """Makes the folders.

        Args:
            folder: The host's folder for all that the pod writes; emptied, made.
            image: What it runs.
            volumes: Those of the platforms document.
            task: Name of its task.
            attempt: 1 for the first.

        Raises:
            SandboxUnavailableError: If this machine cannot run one.
        """
        if reason := why_unavailable():
            raise SandboxUnavailableError(reason)
        self.task, self.attempt = task, attempt
        self.process: subprocess.Popen[bytes] | None = None
        self._image, self._folder = image, folder
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "root").mkdir(parents=True)
        scratch = [Volume(path, self._scratch(path)) for path in SCRATCH]
        all_volumes = [*scratch, Volume("/dev/shm"), *image.volumes(), *volumes]
        by_path = {volume.path.rstrip("/"): volume for volume in all_volumes}
        self._volumes = [by_path[path] for path in sorted(by_path)]

    def host_path(self, path: str) -> Path:
        """Returns the host's path of one of the container's, which must be in a volume.

        Raises:
            ValueError: If it is in none, or in one in memory.
        """
        for volume in reversed(self._volumes):
            inside = Path(path).is_relative_to(volume.path)
            if inside and volume.folder is not None:
                return volume.folder / Path(path).relative_to(volume.path)
            if inside:
                break
        raise ValueError(f"{path} is in no volume of the pod that the host sees")

    def run(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        watch: Callable[["Pod"], None] | None,
        limit_s: float,
    ) -> Ended:
        """Runs the command to its end.

        Args:
            command: Program and arguments.
            environment: All of it.
            watch: Called with this pod once the process runs, in a thread of its own.
            limit_s: After this many seconds it is killed.
        """
        began = time.monotonic()
        with (self._folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                [
                    *_unshare(),
                    sys.executable,
                    "-I",
                    "-S",
                    str(_SANDBOX),
                    self._request(command, environment),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                cwd="/",
                env={"PATH": os.environ.get("PATH", os.defpath)},
            )
            watching = _Watching(watch, self)
            self._wait(limit_s)
        watching.join()
        code = self.process.returncode
        return Ended(
            exit_code=code if code >= 0 else 128 - code,
            log=self.log(),
            seconds=time.monotonic() - began,
        )

    def kill(self) -> None:
        """Kills the process and its children, as a node that is lost or out of memory does."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return

    def log(self) -> str:
        """Returns what the process wrote up to now."""
        return (self._folder / "log").read_text(encoding="utf-8", errors="replace")

    def _scratch(self, path: str) -> Path:
        folder = self._folder / ("volume" + path.replace("/", "-"))
        folder.mkdir()
        folder.chmod(0o1777)
        return folder

    def _wait(self, limit_s: float) -> None:
        try:
            self.process.wait(limit_s)
        except subprocess.TimeoutExpired:
            pass
        finally:
            self.kill()  # whatever it left running goes with the pod
            self.process.wait()

    def _request(self, command: Sequence[str], environment: Mapping[str, str]) -> str:
        user = self._image.user
        self._own(user)
        request = {
            "root": str(self._folder / "root"),
            "volumes": [self._described(volume) for volume in self._volumes],
            "opened": [] if user is None else _closed_to_others(),
            "working_folder": self._image.working_folder,
            "user": user,
            "command": list(command),
            "environment": dict(environment),
        }
        file = self._folder / "request.json"
        file.write_text(json.dumps(request), encoding="utf-8")
        return str(file)

    def _own(self, user: int | None) -> None:
        """Gives the user what the launcher downloaded, since the launcher runs as that user."""
        if user is None:
            return
        for folder, _, files in os.walk(self._folder):
            for name in ("", *files):
                os.chown(Path(folder, name), user, user)

    @staticmethod
    def _described(volume: Volume) -> dict[str, object]:
        described = dataclasses.asdict(volume)
        described["folder"] = None if volume.folder is None else str(volume.folder)
        return described


class _Watching:
    """A test's look at a running pod; what it raises comes back with `join`."""

    def __init__(self, watch: Callable[[Pod], None] | None, pod: Pod) -> None:
        self._error: BaseException | None = None
        self._watch, self._pod = watch, pod
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def join(self) -> None:
        self._thread.join(60)
        if self._thread.is_alive():
            raise TimeoutError("what watches the pod did not come to an end with it")
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            if self._watch is not None:
                self._watch(self._pod)
        except BaseException as error:
            self._error = error


def _closed_to_others() -> list[str]:
    """Returns what of the interpreter's path only its owner may enter, as `sandbox` takes it."""
    folders = {*Path(sys.executable).parents, *Path(sys.executable).resolve().parents}
    return [f"{folder}/." for folder in sorted(folders) if not folder.stat().st_mode & 0o001]
