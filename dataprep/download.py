"""Downloads a file, goes on with a broken download, and checks what came."""

import fcntl
import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit

import requests
import urllib3

from dataprep.errors import PreparationError
from dataprep.terminal import showing

CHUNK_BYTES = 2**18
MEGABYTE = 1e6
TIMEOUT = 30.0  # s, without a byte from the server
ATTEMPTS = 3  # in a row that bring nothing


@dataclass(frozen=True)
class Download:
    """A file that can be downloaded.

    Attributes:
        url: Where it is.
        bytes: Its size.
        md5: Its digest as published, hexadecimal.
    """

    url: str
    bytes: int
    md5: str


def fetch(download: Download, path: Path) -> None:
    """Downloads a file to `path`, unless it is there.

    What has come is kept beside `path` under a hidden name, also when this process is killed, and
    the next call goes on from there.

    Raises:
        PreparationError: It cannot be reached, or what is there or came is another file.
        OSError: It cannot be written.
    """
    if path.exists():
        if fault := _fault(download, path):
            raise PreparationError(f"{path} {fault}. Remove it, and it is downloaded anew")
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    with part.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # another run may be downloading it; the system frees it
        if path.exists():
            return
        file.seek(0, os.SEEK_END)
        _complete(download, file)
        file.flush()
        if fault := _fault(download, part):
            file.truncate(0)
            raise PreparationError(f"what {download.url} gave {fault}. {_other_way(path)}")
        part.rename(path)


def _complete(download: Download, file: BinaryIO) -> None:
    """Appends what is missing, in as many attempts as bring something."""
    idle = 0
    with showing("Downloading", download.bytes / MEGABYTE, "MB") as tell:
        while (begin := file.tell()) < download.bytes:
            try:
                _append(download.url, file, tell)
                failure = "the connection ended"
            except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
                failure = str(error)
            idle = 0 if file.tell() > begin else idle + 1
            if idle == ATTEMPTS:
                raise PreparationError(
                    f"{urlsplit(download.url).hostname} cannot be reached, or does not answer as "
                    f"it should: {failure}\n"
                    f"{begin / MEGABYTE:,.0f} of {download.bytes / MEGABYTE:,.0f} MB have come. "
                    f"The same command goes on from there. {_other_way(Path(download.url))}"
                )


def _append(url: str, file: BinaryIO, tell: Callable[[float], None]) -> None:
    """Appends to a file what it lacks, as far as the connection holds."""
    headers = {"Accept-Encoding": "identity", "Range": f"bytes={file.tell()}-"}
    with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as response:
        response.raise_for_status()
        if response.status_code != requests.codes.partial_content:  # it sends all of it
            file.truncate(0)
        # As it comes: to decode, urllib3 2 waits for whole chunks, and loses one that breaks off.
        for chunk in response.raw.stream(CHUNK_BYTES, decode_content=False):
            file.write(chunk)
            tell(file.tell() / MEGABYTE)


def _fault(download: Download, path: Path) -> str | None:
    """What is wrong with a file; None when it is the one that was asked for."""
    size = path.stat().st_size
    if size != download.bytes:
        return f"has {size:,} bytes instead of {download.bytes:,}"
    digest = hashlib.md5(usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
    if digest.hexdigest() != download.md5:
        return f"has MD5 {digest.hexdigest()} instead of {download.md5}"
    return None


def _other_way(path: Path) -> str:
    return f"Or get {path.name} in another way, and give it: --source {path.name}"
