"""What ImportExampleGen left of a data set, and the rules and the runner that it mostly has."""

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import tensorflow as tf
from tfx.types import standard_artifacts

from components.ingest.report import Report, read_report
from dataset.record_check import Rules

RULES = Rules(num_classes=3, synsets=("n01", "Kätzchen", 'a "b"'))
IN_PROCESS = ("--runner=FnApiRunner", "--sdk_container_image=this-process")


@dataclass
class Ran:
    """What an execution left."""

    examples: standard_artifacts.Examples
    folder: Path  # of the report's artifact

    @property
    def report(self) -> Report:
        return read_report(str(self.folder))

    def paths(self, split: str) -> list[str]:
        return sorted(map(str, Path(self.examples.uri).glob(f"Split-{split}/*.gz")))

    def records(self, split: str) -> Counter[bytes]:
        return Counter(data.numpy() for data in tf.data.TFRecordDataset(self.paths(split), "GZIP"))

    @property
    def files(self) -> dict[str, bytes]:
        uri = Path(self.examples.uri)
        return {str(p.relative_to(uri)): p.read_bytes() for p in sorted(uri.glob("Split-*/*"))}

    @property
    def quarantine(self) -> list[dict]:
        text = (self.folder / "quarantine.jsonl").read_text("utf-8")
        return [json.loads(line) for line in text.removesuffix("\n").split("\n") if line]

    @property
    def quarantined(self) -> Counter[bytes]:
        files = sorted(map(str, self.folder.glob("quarantine-*.tfrecord")))
        return Counter(data.numpy() for data in tf.data.TFRecordDataset(files))
