"""What the data gate costs, against StatisticsGen and Transform on the same data.

Run: python benchmarks/bench_data_gate.py [DATA], by default on 11,000 generated images of 64×64.
"""

import argparse
import io
import os
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path

import ml_metadata as mlmd
import numpy as np
from PIL import Image
from tfx.components import ImportExampleGen
from tfx.orchestration import metadata
from tfx.orchestration.pipeline import Pipeline
from tfx.proto.example_gen_pb2 import Input

from dataprep.shards import ShardWriter
from dataset import record
from dataset.example import Example
from pipeline.beam_options import beam_pipeline_args
from pipeline.config import Config
from pipeline.local_run import LocalRun
from pipeline.nodes import NODES
from pipeline.pipeline import PIPELINE_NAME, Paths, create_pipeline

ROUNDS = 5
CLASSES = 20
EXAMPLES = {record.TRAIN: 10_000, record.VAL: 1_000}
SHARDS = {record.TRAIN: 128, record.VAL: 64}
GATES = ("ImportExampleGen", "DataGate", "DistributionValidator", "ExampleValidator", "AnomalyGate")
OTHERS = ("StatisticsGen", "Transform")


def write_images(folder: Path) -> None:
    """Writes shards of soft coloured spots as JPEG files of some 2 KB, as photos of 64×64 are."""
    rng = np.random.default_rng(0)
    for split, shards in SHARDS.items():
        for shard in range(shards):
            with ShardWriter(f"{folder}/{record.shard_name(split, shard, shards)}") as writer:
                for index in range(shard, EXAMPLES[split], shards):
                    buffer = io.BytesIO()
                    spots = Image.fromarray(rng.integers(0, 256, (16, 16, 3), np.uint8))
                    spots.resize((64, 64), Image.Resampling.BICUBIC).save(buffer, "JPEG")
                    label = record.LABEL_BASE + index % CLASSES
                    name = f"{split}_{index}.JPEG"
                    writer.write(
                        Example(buffer.getvalue(), label, f"n{label}", name, "JPEG", 64, 64, "RGB")
                    )


def connection(folder: Path) -> mlmd.proto.ConnectionConfig:
    """A metadata store in `folder`."""
    return metadata.sqlite_metadata_connection_config(f"{folder}/metadata.db")


def run(pipeline: Pipeline, nodes: Sequence[str]) -> dict[str, float]:
    """Runs `nodes` of a pipeline; the seconds that each took."""
    local_run = LocalRun(pipeline)
    return {node: local_run.run_node(node, use_cache=False).seconds for node in nodes}


def plain_import(data: Path, folder: Path) -> float:
    """Seconds of TFX's own ImportExampleGen."""
    splits = [
        Input.Split(name=split, pattern=record.shard_pattern(split)) for split in record.SPLITS
    ]
    example_gen = ImportExampleGen(input_base=str(data), input_config=Input(splits=splits))
    pipeline = Pipeline(
        pipeline_name=PIPELINE_NAME,
        pipeline_root=str(folder),
        components=[example_gen],
        metadata_connection_config=connection(folder),
        beam_pipeline_args=beam_pipeline_args(Config().beam),
    )
    return run(pipeline, ["ImportExampleGen"])["ImportExampleGen"]


def gated(data: Path, folder: Path) -> dict[str, float]:
    """Seconds of the nodes before the Trainer."""
    paths = Paths(str(data), f"{folder}/artifacts", f"{folder}/serving", f"{folder}/checkpoints")
    pipeline = create_pipeline(Config(), paths, metadata_connection_config=connection(folder))
    return run(pipeline, NODES[: NODES.index("Trainer")])


def main() -> None:
    """Prints the medians of some rounds, in which both are measured in turn."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", nargs="?", type=Path)
    data = parser.parse_args().data
    print(f"{os.cpu_count()} cores, {ROUNDS} rounds")
    with tempfile.TemporaryDirectory() as folder:
        if data is None:
            data = Path(folder) / "images"
            write_images(data)
        plain, nodes = [], []
        for index in range(ROUNDS + 1):  # the first one warms up
            plain.append(plain_import(data, Path(folder) / f"plain {index}"))
            nodes.append(gated(data, Path(folder) / f"gated {index}"))
    median = {node: statistics.median(r[node] for r in nodes[1:]) for node in nodes[0]}
    for node, seconds in median.items():
        print(f"{node:<22} {seconds:6.2f} s")
    gate = statistics.median(
        sum(found[node] for node in GATES) - seconds
        for seconds, found in zip(plain[1:], nodes[1:], strict=True)
    )
    others = sum(median[node] for node in OTHERS)
    print(f"without the gate, ImportExampleGen takes {statistics.median(plain[1:]):.2f} s")
    print(f"the gate costs {gate:.2f} s, {gate / others:.1%} of {' and '.join(OTHERS)}")


if __name__ == "__main__":
    main()
