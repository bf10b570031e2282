"""What the gate's tests share: a manifest."""

import json

import pytest
from data_reports import shards_of


@pytest.fixture
def written(tmp_path):
    """The folder of a manifest that tells of three training and two validation shards."""
    splits = {split: {"records": 3, "shards": {}} for split in ("train", "val")}
    for name, shard in shards_of(3, 2).items():
        facts = {"bytes": shard.bytes, "records": shard.records, "sha256": shard.sha256}
        splits[name.split("/")[0]]["shards"][name] = facts
    manifest = {"splits": splits, "synsets": ["n01"], "labels_sha256": ""}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    return str(tmp_path)
