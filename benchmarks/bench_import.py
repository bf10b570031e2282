"""Memory and time of ImportExampleGen at several sizes of data: the first is to be flat.

Each size is generated, then imported by `local_runner.py --to ImportExampleGen` in a process of its
own. Memory is the greatest sum of what that process and its children held, looked at ten times a
second.

Run: python benchmarks/bench_import.py [MB ...], by default 128 512 2048
"""

import argparse
import io
import json
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import numpy as np
import psutil
from PIL import Image

from dataprep.shards import ShardWriter
from dataset import record
from dataset.example import Example

ROOT = Path(__file__).parents[1]
NODE = "ImportExampleGen"
SIDE = 100  # pixels; as noise some 15 KB a JPEG file
CLASSES = 20
BASES = 50  # different images; what follows a file's end makes each record another
SHARDS = {record.TRAIN: 8, record.VAL: 2}
SHARES = {record.TRAIN: 0.9, record.VAL: 0.1}
INTERVAL = 0.1  # s


def write_images(folder: Path, megabytes: float) -> int:
    """Writes shards, sorted by class, of some `megabytes`; returns the number of images."""
    rng = np.random.default_rng(0)
    bases = []
    for _ in range(BASES):
        buffer = io.BytesIO()
        noise = rng.integers(0, 256, (SIDE, SIDE, 3), np.uint8)
        Image.fromarray(noise).save(buffer, "JPEG", quality=95)
        bases.append(buffer.getvalue())
    images = int(megabytes * 1e6 / len(bases[0]))
    for split, shards in SHARDS.items():
        number = int(images * SHARES[split])
        for shard in range(shards):
            name = record.shard_name(split, shard, shards)
            with ShardWriter(f"{folder}/{name}") as writer:
                for index in range(shard * number // shards, (shard + 1) * number // shards):
                    label = record.LABEL_BASE + index * CLASSES // number
                    file = f"{split}_{index:09d}.JPEG"
                    encoded = bases[index % BASES] + file.encode()
                    writer.write(
                        Example(encoded, label, f"n{label}", file, "JPEG", SIDE, SIDE, "RGB")
                    )
    return images


def peak_megabytes(command: list[str]) -> float:
    """Runs a command; the most memory that it and its children held at a time."""
    process = psutil.Popen(command, stdout=subprocess.DEVNULL)
    ended = threading.Event()
    peak = 0

    def watch() -> None:
        nonlocal peak
        while not ended.wait(INTERVAL):
            try:
                family = [process, *process.children(recursive=True)]
                peak = max(peak, sum(one.memory_info().rss for one in family))
            except psutil.NoSuchProcess:
                continue  # one has just ended

    watcher = threading.Thread(target=watch)
    watcher.start()
    exit_code = process.wait()
    ended.set()
    watcher.join()
    if exit_code:
        raise SystemExit(f"{' '.join(command)} ended with {exit_code}")
    return peak / 1e6


def main() -> None:
    """Prints a row for each size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("megabytes", nargs="*", type=float, default=[128, 512, 2048])
    print(f"{'MB of data':>10}{'images':>9}{'files':>7}{'seconds':>9}{'peak MB':>9}")
    for megabytes in parser.parse_args().megabytes:
        with tempfile.TemporaryDirectory() as folder:
            data, output = Path(folder, "data"), Path(folder, "output")
            images = write_images(data, megabytes)
            flags = ["--data", str(data), "--output", str(output), "--to", NODE]
            peak = peak_megabytes([sys.executable, str(ROOT / "local_runner.py"), *flags])
            summary = json.loads((output / "summary.json").read_text("utf-8"))
            seconds = summary["components"][NODE]["seconds"]
            files = sum(1 for _ in output.glob(f"artifacts/{NODE}/examples/*/Split-*/*.gz"))
        row = f"{megabytes:>10,.0f}{images:>9,}{files:>7,}{seconds:>9.1f}{peak:>9,.0f}"
        print(row, flush=True)


if __name__ == "__main__":
    main()
