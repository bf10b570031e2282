"""Which folders and URIs a cluster reaches."""

import re
from collections.abc import Iterable

from pipeline.command_line import usage_error
from pipeline.kubeflow.settings import MINIO
from pipeline.target import Target

URI_SCHEMES = {Target.KFP: ("gs://", "s3://", "minio://"), Target.VERTEX: ("gs://",)}


def root_place(root: str, target: Target) -> str:
    """The pipeline root as runs are to have it; exits with a usage error as `place` does."""
    schemes = URI_SCHEMES[target]
    if not root.startswith(schemes):
        usage_error(f"--pipeline-root {root}: must begin with {' or '.join(schemes)}")
    return place("--pipeline-root", root, schemes, ())


def place(flag: str, folder: str, schemes: tuple[str, ...], mounted: tuple[str, ...]) -> str:
    """A folder as runs are to have it: without a slash at its end, since names are added to it.

    Exits with a usage error unless the cluster sees it, or none is given.

    Args:
      flag: To be named.
      folder: A path or URI; empty if none is given.
      schemes: Of the object stores that it reads.
      mounted: Folders at which it mounts volumes.
    """
    if not folder:
        return ""
    plain = folder.rstrip("/")
    path = re.sub(r"^(\w+://|/)", "", folder).rstrip("/")
    if not path:
        usage_error(f"{flag} {folder}: names no bucket and no folder")
    if {"", ".", ".."} & set(path.split("/")) or not folder.isprintable() or path != path.strip():
        usage_error(
            f"{flag} {folder!r}: must be plain, without //, . and .., or spaces at its ends"
        )
    if re.search(r"[*?\[]", path):
        usage_error(f"{flag} {folder}: *, ? and [ would be taken for a pattern; rename the folder")
    volumes = tuple(f"{volume.rstrip('/')}/" for volume in mounted)
    if not plain.startswith(schemes) and not f"{plain}/".startswith(volumes):
        legal = ", ".join([*(f"{scheme}…" for scheme in schemes), *(f"{v}…" for v in volumes)])
        usage_error(
            f"{flag} {folder}: the cluster does not see this folder. It sees {legal or 'none'}"
        )
    return plain


def check_one_store(flag: str, folder: str, others: Iterable[str]) -> None:
    """Exits with a usage error if tasks would look for a folder at another store's address.

    Those of a pipeline have one, AWS_ENDPOINT_URL: Kubeflow's own store's if any place is there.

    Args:
      flag: To be named.
      folder: A path or URI that the tasks read or write themselves.
      others: What the pipeline was compiled with.
    """
    kubeflows = any(other.startswith(MINIO) for other in others)
    if folder.startswith(MINIO) and not kubeflows:
        usage_error(
            f"{flag} {folder}: the pipeline was compiled without a place at {MINIO}, so its tasks "
            "have no address and no keys for it; compile it again with one"
        )
    if folder.startswith("s3://") and kubeflows:
        usage_error(
            f"{flag} {folder}: the tasks would look for it in Kubeflow's own store, since another "
            f"place is at {MINIO} and they know one address; take {MINIO} or s3:// for both"
        )
