"""What stands before a server: encryption, and a proxy that wants to know who asks."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

_HEADER = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+): *([ -~]*)")  # RFC 9110, 5.1 and 5.5


@dataclass(frozen=True)
class Gateway:
    """What the client sends and trusts besides.

    Attributes:
        headers: HTTP headers, which are gRPC's metadata, of each request.
        ca_file: PEM file of the authority that signed the server's certificate; by REST those that
            requests trusts count without it, by gRPC nothing is encrypted without it.
    """

    headers: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    ca_file: Path | None = None


NO_GATEWAY = Gateway()


def gateway(headers: Sequence[str], token_file: Path | None, ca_file: Path | None) -> Gateway:
    """Reads what a command line says of it.

    Args:
        headers: Each "Name: value".
        token_file: Its content is sent as `Authorization: Bearer …`.
        ca_file: See `Gateway`.

    Raises:
        ValueError: A header is none, or a file cannot be read.
    """
    found = {}
    for header in headers:
        match = _HEADER.fullmatch(header)
        if not match:
            raise ValueError(f'--header must be "Name: value". Received: {header!r}')
        found[match[1]] = match[2]
    if token_file:
        token = _read(token_file, "--token-file").strip()
        if not re.fullmatch(r"[!-~]+", token):
            raise ValueError(
                f"--token-file {token_file}: holds no token, which is one line of text"
            )
        found["Authorization"] = f"Bearer {token}"
    if ca_file and "-----BEGIN CERTIFICATE-----" not in _read(ca_file, "--ca-file"):
        raise ValueError(f"--ca-file {ca_file}: holds no certificate in PEM format")
    return Gateway(found, ca_file)


def _read(file: Path, flag: str) -> str:
    try:
        return file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise ValueError(f"{flag} {file}: cannot be read ({reason})") from error
