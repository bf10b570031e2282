"""A digest of source code, for the parameters of nodes that run it.

With dotted function names TFX's cache key knows nothing of the code: without the digest an edited
`preprocessing_fn` would be a cache hit.
"""

import hashlib
from pathlib import Path

ROOT = Path(__file__).parents[1]


def source_digest(*paths: str) -> str:
    """Digest of the Python files at `paths`, files or folders relative to the project's root."""
    digest = hashlib.sha256()
    for path in paths:
        files = sorted((ROOT / path).rglob("*.py")) or [ROOT / path]
        for file in files:
            digest.update(f"{file.relative_to(ROOT)}\n".encode() + file.read_bytes())
    return digest.hexdigest()[:16]
