"""Turns this process into a container's: run by `pod.py` inside `unshare --mount`.

Builds a root of its own in an empty folder, out of the host's folders mounted read-only and of
the pod's volumes, goes into it, and becomes the command. Only the standard library, no imports
of ours: the interpreter is started with -I -S, which takes 20 ms.
"""

import ctypes
import json
import os
import shutil
import sys
from pathlib import Path

_LIBC = ctypes.CDLL(None, use_errno=True)
_RDONLY, _NOSUID, _NODEV, _NOEXEC = 1, 2, 4, 8
_REMOUNT, _NOATIME, _NODIRATIME, _BIND, _REC, _RELATIME = 32, 1024, 2048, 4096, 16384, 1 << 21
_KEPT = _NOSUID | _NODEV | _NOEXEC | _NOATIME | _NODIRATIME | _RELATIME

# The kernel's own, as writable as the host has them.
_KERNEL = ("/proc", "/dev")


def _mount(source, target, kind=None, flags=0, data=None):
    arguments = [None if text is None else str(text).encode() for text in (source, target, kind)]
    if _LIBC.mount(*arguments, flags, data.encode() if data else None):
        number = ctypes.get_errno()
        raise OSError(number, f"mount {source} at {target}: {os.strerror(number)}")


def _make_read_only(mount_point):
    kept = os.statvfs(mount_point).f_flag & _KEPT
    _mount(None, mount_point, flags=_REMOUNT | _BIND | _RDONLY | kept)


def _mount_points(below):
    lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    points = [line.split()[4].encode().decode("unicode_escape") for line in lines]
    return [point for point in points if point.startswith(f"{below}/")]


def _expose(source, target, made):
    """Shows a host's folder in the new root; one that a mount point must be made in, as a copy.

    Args:
        source: The host's folder.
        target: The folder of the new root, which exists.
        made: Mount points of the pod's volumes, as the host's paths.
    """
    for entry in Path(source).iterdir():
        there = Path(target, entry.name)
        if str(entry) in made:
            continue
        if entry.is_symlink():
            there.symlink_to(entry.readlink())
        elif not entry.is_dir():
            if entry.is_file():
                there.touch()
                _mount(entry, there, flags=_BIND | _REC)
        else:
            there.mkdir(mode=0o755)
            if any(point.startswith(f"{entry}/") for point in made):
                _expose(entry, there, made)
            else:
                _mount(entry, there, flags=_BIND | _REC)


def _volume(root, volume):
    """Mounts one volume of the pod: a host's folder, or memory where there is none."""
    target = root + volume["path"]
    Path(target).mkdir(parents=True, exist_ok=True)
    if volume["folder"] is None:
        _mount("tmpfs", target, "tmpfs", data=f"mode=1777,size={volume['size']}")
    else:
        _mount(volume["folder"], target, flags=_BIND | _REC)
        if volume["read_only"]:
            _make_read_only(target)


def _build_root(root, volumes, opened):
    _mount("tmpfs", root, "tmpfs", data="mode=755")
    made = [volume["path"] for volume in volumes] + opened
    _expose("/", root, [point for point in made if not point.startswith(_KERNEL)])
    for point in _mount_points(root):
        if not point.startswith(tuple(root + kernel for kernel in _KERNEL)):
            _make_read_only(point)
    for volume in volumes:
        _volume(root, volume)
    for volume in volumes:
        if volume["read_only"] and volume["folder"] is None:  # other volumes may be in it
            _make_read_only(root + volume["path"])
    _make_read_only(root)


def _enter(root, folder, user):
    os.chroot(root)
    os.chdir(folder)
    os.umask(0o022)
    if user is not None:
        os.setgroups([])
        os.setgid(user)
        os.setuid(user)


def main(request):
    """Builds the root, enters it and becomes the command."""
    _build_root(request["root"], request["volumes"], request["opened"])
    _enter(request["root"], request["working_folder"], request["user"])
    command, environment = request["command"], request["environment"]
    program = shutil.which(command[0], path=environment.get("PATH", os.defpath))
    if program is None:
        sys.exit(f'exec: "{command[0]}": executable file not found in $PATH')
    os.execve(program, command, environment)


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
