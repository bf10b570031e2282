"""Holds manifests, a JSON list on stdin, against the schemas of a Kubernetes version.

Run with the Python of tests/readers.lock; it fails for the first fault.
"""

import json
import sys

import kubernetes_validate

[version] = sys.argv[1:]
for manifest in json.load(sys.stdin):
    kubernetes_validate.validate(manifest, version, strict=True)
