"""Builds a Dockerfile without Docker, and runs what it made as a container would.

Each stage is a stack of overlayfs layers, as in Docker; debootstrap's Debian with its own Python
stands for the base image. Every mount lives in the mount namespace of one command only, so
nothing is left mounted, however a test ends. Needs root, debootstrap and unshare.
"""

import dataclasses
import os
import re
import shlex
import shutil
import socket
import string
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

# python3-dev: the official images have Python's headers.
BASE_PACKAGES = "ca-certificates,netbase,python3,python3-dev,python3-pip-whl,tzdata"
BASE_ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}

ROOM = 12e9  # bytes on the disk, of a root with all packages and what uv keeps of them

# Mounts the layers at $1 and what every container has, then runs the rest of the arguments in it.
ENTER = """
set -euo pipefail
root=$1 options=$2 scratch=$3 binds=$4; shift 4
mount -t overlay overlay -o "$options" "$root"
if [ "$scratch" = yes ]; then mount -t tmpfs -o mode=1777,noexec,nosuid,nodev tmpfs "$root/tmp"; fi
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
for bind in $binds; do mount --bind "${bind%%:*}" "$root${bind#*:}"; done
exec "$@"
"""


def why_not() -> str | None:
    """What this machine lacks to build a clean root and fill it; None if nothing."""
    if os.geteuid() != 0:
        return "not root: chroot and mount are not permitted"
    for tool in ("debootstrap", "unshare"):
        if not shutil.which(tool):
            return f"{tool} is not installed (Debian: apt-get install {tool})"
    if (free := shutil.disk_usage(tempfile.gettempdir()).free) < ROOM:
        return (
            f"{free / 1e9:.0f} GB are free in {tempfile.gettempdir()}, and {ROOM / 1e9:.0f} needed"
        )
    mounting = "d=$(mktemp -d) && mount -t tmpfs t $d && mkdir $d/{a,b,c,w} && cd $d && "
    mounting += "mount -t overlay o -o lowerdir=a,upperdir=b,workdir=w c && chroot / true"
    probe = subprocess.run(
        ["unshare", "--mount", "bash", "-c", mounting], capture_output=True, text=True
    )
    return (
        f"mounts or chroot are not permitted: {probe.stderr.strip()}" if probe.returncode else None
    )


def instructions(dockerfile: Path) -> list[tuple[str, str]]:
    """The instructions of a Dockerfile: name and arguments, comments and line ends taken out."""
    text = re.sub(r"^\s*#.*\n", "", dockerfile.read_text("utf-8"), flags=re.MULTILINE)
    lines = re.sub(r"\\\n\s*", "", text).splitlines()
    return [(line.split()[0], line.split(maxsplit=1)[1]) for line in lines if line.strip()]


def in_context(path: str, dockerignore: str) -> bool:
    """Whether a builder is sent the file `path`: the last pattern that fits it decides.

    Docker's rules: a pattern fits all below a folder that it fits; `**` is any number of folders.
    """
    included = True
    for line in dockerignore.splitlines():
        pattern = line.strip()
        if not pattern or pattern.startswith("#"):
            continue
        regex = re.escape(pattern.removeprefix("!").strip("/"))
        regex = regex.replace(r"\*\*/", "(.*/)?").replace(r"\*", "[^/]*")
        regex = regex.replace(r"\[", "[").replace(r"\]", "]")
        if re.fullmatch(f"{regex}(/.*)?", path):
            included = pattern.startswith("!")
    return included


@dataclasses.dataclass
class Image:
    """A stage, or an image: layers and what the Dockerfile says of running it.

    Attributes:
        layers: Folders, the lowest one first; the last one is written to while it is built.
        environment: ENV.
        user: USER.
        entrypoint: ENTRYPOINT, as JSON.
        workdir: WORKDIR.
    """

    layers: list[Path]
    environment: dict[str, str] = dataclasses.field(default_factory=lambda: dict(BASE_ENVIRONMENT))
    user: str = "0:0"
    entrypoint: str = ""
    workdir: str = "/"

    def command(
        self, *argv: str, user: str | None = None, binds: str = "", writable: bool = False
    ) -> tuple[list[str], dict[str, str]]:
        """A command for subprocess, and its environment, that runs `argv` in this image.

        Args:
            argv: The command.
            user: uid:gid. Default: the image's.
            binds: HOST:IMAGE paths to mount, with spaces between.
            writable: Write into the last layer. Else the root is read-only, /tmp an empty tmpfs.
        """
        top = self.layers[-1]
        root = top.with_name(f"{top.name}-root")
        work = top.with_name(f"{top.name}-work")
        root.mkdir(exist_ok=True)
        work.mkdir(exist_ok=True)
        if writable:
            lower = ":".join(str(layer) for layer in reversed(self.layers[:-1]))
            options = f"lowerdir={lower},upperdir={top},workdir={work}"
        else:  # without an upper layer overlayfs is read-only
            options = "lowerdir=" + ":".join(str(layer) for layer in reversed(self.layers))
        enter = ["unshare", "--mount", "--propagation", "private", "bash", "-c", ENTER, "enter"]
        enter += [str(root), options, "no" if writable else "yes", binds]
        userspec = f"--userspec={user or self.user}"
        inside = ["chroot", userspec, str(root), "/usr/bin/env", "-C", self.workdir, *argv]
        variables = [f"{name}={value}" for name, value in self.environment.items()]
        return [*enter, "env", "-i", *variables, *inside], dict(os.environ)

    def run(self, *argv: str, **options: str | bool) -> str:
        """What `argv` writes, stdout and stderr together; raises AssertionError if it fails."""
        command, environment = self.command(*argv, **options)
        done = subprocess.run(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        assert done.returncode == 0, (
            f"{shlex.join(argv)}: exit code {done.returncode}\n{done.stdout}"
        )
        return done.stdout


def debian(folder: Path, release: str, packages: str) -> Image:
    """Debian's least with `packages`, names with commas between, in a folder that there is not."""
    root = folder / "base"
    # One layer of a stack is an empty one: overlayfs wants two where nothing is written.
    (folder / "nothing").mkdir(parents=True)
    subprocess.run(
        ["debootstrap", "--variant=minbase", f"--include={packages}", release, root],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return Image([folder / "nothing", root])


def base_image(folder: Path) -> Image:
    """Debian 13 whose own Python, with a pip, lies where the official image has another build."""
    image = debian(folder, "trixie", BASE_PACKAGES)
    root = image.layers[-1]
    for name in ("python", "python3"):
        (root / "usr" / "local" / "bin" / name).symlink_to("/usr/bin/python3")
    for marker in root.glob("usr/lib/python3*/EXTERNALLY-MANAGED"):  # nor has that image
        marker.unlink()
    # As Docker writes it for each container.
    (root / "etc" / "hosts").write_text(f"127.0.0.1 localhost {socket.gethostname()}\n")
    [wheel] = root.glob("usr/share/python-wheels/pip-*.whl")
    inside = f"/{wheel.relative_to(root)}"
    image.run("python", f"{inside}/pip", "install", "--no-index", inside, writable=True)
    return image


def from_outside() -> tuple[str, str]:
    """What a build step gets of this machine: binds, and variables as words, for its network.

    Name resolution, certificates where this machine has its own, and uv's cache.
    """
    cache = Path(os.environ.get("UV_CACHE_DIR", Path.home() / ".cache" / "uv"))
    cache.mkdir(parents=True, exist_ok=True)
    binds = [f"{cache}:/mnt", "/etc/resolv.conf:/etc/resolv.conf"]
    variables = ["UV_CACHE_DIR=/mnt"]
    if certificates := os.environ.get("SSL_CERT_FILE"):
        inside = "/etc/ssl/certs/ca-certificates.crt"
        binds.append(f"{certificates}:{inside}")
        variables += [f"SSL_CERT_FILE={inside}", f"PIP_CERT={inside}"]
    return " ".join(binds), " ".join(variables)


class Builder:
    """Carries out a Dockerfile's instructions.

    Attributes:
        bases: Images by name, for FROM.
    """

    def __init__(self, folder: Path, context: Path, bases: Mapping[str, Image]):
        self.folder = folder
        self.context = context
        self.bases = bases
        self.stages: dict[str, Image] = {}

    def build(self, dockerfile: Path, arguments: Mapping[str, str]) -> Image:
        """The image of the last stage."""
        image = None
        defaults: dict[str, str] = {}  # of the ARGs before the first FROM
        known: dict[str, str] = {}  # the ARGs of the stage
        for number, (name, text) in enumerate(instructions(dockerfile)):
            values = defaults if name == "FROM" else {**known, **getattr(image, "environment", {})}
            expanded = string.Template(text).safe_substitute(values)
            if name == "ARG":
                argument, _, default = text.partition("=")
                scope = known if image else defaults
                scope[argument] = arguments.get(argument, default or defaults.get(argument, ""))
            elif name == "FROM":
                base, _, stage = expanded.partition(" AS ")
                image = self.start(base, self.folder / f"stage{number}")
                self.stages[stage] = image
                known = {}
            elif name == "RUN":
                self.run(image, expanded)
            elif name == "COPY":
                self.copy(image, shlex.split(expanded))
            elif name == "ENV":
                pairs = (word.split("=", 1) for word in shlex.split(expanded))
                image.environment.update(pairs)
            elif name == "WORKDIR":
                image.workdir = expanded
                (image.layers[-1] / expanded.lstrip("/")).mkdir(parents=True)
            elif name in ("USER", "ENTRYPOINT"):
                setattr(image, name.lower(), expanded)
            elif name != "LABEL":
                raise NotImplementedError(name)
        return image

    def start(self, base: str, layer: Path) -> Image:
        """A new stage on a base image or an earlier stage."""
        layer.mkdir()
        parent = self.stages.get(base) or self.bases[base]
        return dataclasses.replace(
            parent, layers=[*parent.layers, layer], environment=dict(parent.environment)
        )

    def run(self, image: Image, command: str) -> None:
        """RUN."""
        binds, variables = from_outside()
        image.run("sh", "-c", f"{variables} {command}", writable=True, binds=binds)

    def copy(self, image: Image, words: list[str]) -> None:
        """COPY, of whole folders and of files."""
        source_stage = words.pop(0).removeprefix("--from=") if words[0].startswith("--") else None
        *sources, target = words
        inside = Path(image.workdir) / target
        for source in sources:
            is_folder = target.endswith("/")
            place = (
                image.layers[-1] / str(inside / source.split("/")[-1] if is_folder else inside)[1:]
            )
            place.parent.mkdir(parents=True, exist_ok=True)
            if source_stage:
                [layer] = [
                    layer / source[1:]
                    for layer in self.stages[source_stage].layers
                    if (layer / source[1:]).exists()
                ]
                # Hard links for the gigabytes; a finished stage is not written to any more.
                subprocess.run(["cp", "--archive", "--link", layer, place], check=True)
            elif source == ".":
                for path in self.sent():
                    file = place / path
                    file.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy2(self.context / path, file)
            else:
                assert source in self.sent(), f"{source} is not in the context"
                shutil.copy2(self.context / source, place)

    def sent(self) -> set[str]:
        """The files that the builder is sent."""
        return set(context_files(self.context))


def context_files(context: Path) -> Iterator[str]:
    """The files below `context` that .dockerignore lets through."""
    dockerignore = (context / ".dockerignore").read_text("utf-8")
    top = {line[1:] for line in dockerignore.splitlines() if line.startswith("!")}
    for entry in sorted(top):  # not the whole checkout: it may have gigabytes of data
        path = context / entry
        files = path.rglob("*") if path.is_dir() else [path] if path.exists() else []
        for file in files:
            name = str(file.relative_to(context))
            if file.is_file() and in_context(name, dockerignore):
                yield name
