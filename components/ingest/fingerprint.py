"""FolderFingerprint: has Kubeflow see that a data set's folder has changed.

Its cache goes by parameters, image and command: other data in the same folder would be a hit. The
fingerprint is a parameter of ImportExampleGen, so the cache is asked for it too.
"""

import hashlib
from typing import TypedDict

from tfx.dsl.component.experimental.annotations import Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.dsl.io import fileio
from tfx.utils import io_utils

from dataset import record


class Outputs(TypedDict):
    """What the component gives."""

    fingerprint: str


@component
def FolderFingerprint(  # noqa: N802  (TFX names a component's node after its function)
    data: Parameter[str],
) -> Outputs:
    """Gives the fingerprint of the data set's folder `data` as its output.

    Do not take it from the cache.
    """
    return {"fingerprint": folder_fingerprint(data)}


def folder_fingerprint(folder: str) -> str:
    """SHA-256 over the contents of `labels.txt` and the manifest and what TFX knows of the shards.

    Of the shards that is number, size and time of writing, as its driver takes them.

    Raises:
      FileNotFoundError: A split has no shards in the folder.
    """
    folder = folder.rstrip("/")
    whole = hashlib.sha256()
    for split in record.SPLITS:
        pattern = f"{folder}/{record.shard_pattern(split)}"
        if not fileio.glob(pattern):
            raise FileNotFoundError(f"{pattern}: no such shards. Is it the data set's folder?")
        whole.update(io_utils.generate_fingerprint(split, pattern).encode())
    for name in (record.LABELS_FILE, record.MANIFEST_FILE):
        if fileio.exists(f"{folder}/{name}"):
            whole.update(name.encode() + io_utils.read_bytes_file(f"{folder}/{name}"))
    return whole.hexdigest()
