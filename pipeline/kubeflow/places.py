"""Which folders and URIs a cluster reaches."""

import re

from pipeline.command_line import usage_error
from pipeline.target import Target

URI_SCHEMES = {Target.KFP: ("gs://", "s3://", "minio://"), Target.VERTEX: ("gs://",)}


def check_root(root: str, target: Target) -> None:
    """Exits with a usage error unless `target` can write below the URI `root`."""
    schemes = URI_SCHEMES[target]
    if not root.startswith(schemes) or not re.match(r"\w+://[^/]", root):
        usage_error(
            f"--pipeline-root {root}: must begin with {' or '.join(schemes)}, and name a bucket"
        )
    check_reachable("--pipeline-root", root, schemes, ())


def check_reachable(
    flag: str, folder: str, schemes: tuple[str, ...], mounted: tuple[str, ...]
) -> None:
    """Exits with a usage error unless the cluster sees `folder`, or none is given.

    Args:
      flag: To be named.
      folder: A path or URI.
      schemes: Of the object stores that it reads.
      mounted: Folders at which it mounts volumes.
    """
    mounted = tuple(f"{path.rstrip('/')}/" for path in mounted)
    if folder and not folder.startswith(schemes + mounted):
        legal = ", ".join([*(f"{scheme}…" for scheme in schemes), *(f"{m}…" for m in mounted)])
        usage_error(
            f"{flag} {folder}: the cluster does not see this folder. It sees {legal or 'none'}; "
            "--cluster.volumes mounts more"
        )
    if re.search(r"[*?\[]", folder):
        usage_error(f"{flag} {folder}: *, ? and [ would be taken for a pattern; rename the folder")
