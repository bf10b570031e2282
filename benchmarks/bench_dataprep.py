"""dataprep against the plain conversion with TensorFlow: images/s; memory for 10 times the data.

Run: python benchmarks/bench_dataprep.py [ZIP], by default on generated images of 64×64. Of ZIP,
say a Tiny ImageNet, the JPEG files are taken. Needs 3 GB in the folder for temporary files;
if its disk is slow, TMPDIR=/dev/shm leaves it out.
"""

import argparse
import io
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import psutil
from PIL import Image

from dataset import record

IMAGES = (50_000, 500_000)
DISTINCT = 10_000  # images that are used again and again under other names
CLASSES = 20
BASELINE_IMAGES = 10_000
SAMPLING = 0.1  # s


def spots(number: int) -> bytes:
    """A JPEG file of some 2 KB, as photos of 64×64 have."""
    pixels = np.random.RandomState(number).randint(256, size=(16, 16, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).resize((64, 64), Image.Resampling.BICUBIC).save(buffer, "JPEG")
    return buffer.getvalue()


def read_images(archive: Path | None) -> list[bytes]:
    """The JPEG files of an archive, or generated ones."""
    if archive is None:
        return [spots(number) for number in range(DISTINCT)]
    with zipfile.ZipFile(archive) as file:
        names = [name for name in file.namelist() if name.lower().endswith((".jpeg", ".jpg"))]
        return [file.read(name) for name in names[:DISTINCT]]


def write_source(path: Path, images: Sequence[bytes], number: int) -> None:
    """Writes an archive of class folders with so many images."""
    with zipfile.ZipFile(path, "w") as archive:
        for index in range(number):
            name = f"class_{index % CLASSES:02}/{index}.JPEG"
            archive.writestr(name, images[index % len(images)])


def convert_plainly(source: Path, output: Path) -> float:
    """Decodes and writes images one after the other with TensorFlow; images/s."""
    import tensorflow as tf

    def feature(value: bytes | int) -> tf.train.Feature:
        if isinstance(value, bytes):
            return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
        return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))

    with zipfile.ZipFile(source) as archive, tf.io.TFRecordWriter(str(output)) as writer:
        begin = time.perf_counter()
        for name in archive.namelist()[:BASELINE_IMAGES]:
            encoded = archive.read(name)
            height, width, channels = tf.io.decode_jpeg(encoded, channels=3).shape
            synset = name.split("/")[0]
            features = {
                record.IMAGE: encoded,
                record.LABEL: int(synset.removeprefix("class_")) + record.LABEL_BASE,
                record.SYNSET: synset.encode(),
                record.FORMAT: b"JPEG",
                record.FILENAME: name.encode(),
                record.HEIGHT: height,
                record.WIDTH: width,
                record.COLORSPACE: b"RGB",
                record.CHANNELS: channels,
            }
            features = {key: feature(value) for key, value in features.items()}
            example = tf.train.Example(features=tf.train.Features(feature=features))
            writer.write(example.SerializeToString())
        return BASELINE_IMAGES / (time.perf_counter() - begin)


def measured(command: Sequence[str]) -> tuple[int, float]:
    """Runs a command; its and its children's greatest memory, bytes, and their CPU time, s.

    Memory that they share is counted once.
    """
    before = os.times()
    process = psutil.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    peak = 0
    while process.poll() is None:
        memory = 0
        for one in (process, *process.children(recursive=True)):
            try:
                memory += one.memory_full_info().pss
            except psutil.Error:
                continue  # it has ended
        peak = max(peak, memory)
        time.sleep(SAMPLING)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed")
    after = os.times()
    cpu = after.children_user + after.children_system
    return peak, cpu - before.children_user - before.children_system


def steady_rate(output: Path, number: int) -> float:
    """Images/s from when each worker has finished its first shard, so without their start."""
    shards = [path for split in record.SPLITS for path in (output / split).iterdir()]
    ends = sorted(path.stat().st_mtime_ns for path in shards)
    workers = len(os.sched_getaffinity(0))
    share = (len(ends) - workers) / len(ends)  # all shards have as many records, or nearly so
    return number * share / ((ends[-1] - ends[workers - 1]) / 1e9)


def main() -> None:
    """Prints rates, CPU time an image and the peak memory for both amounts of data."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("archive", nargs="?", type=Path)
    images = read_images(parser.parse_args().archive)
    print(f"{os.cpu_count()} cores")
    for number in IMAGES:
        with tempfile.TemporaryDirectory() as folder:
            source, output = Path(folder) / "source.zip", Path(folder) / "data"
            write_source(source, images, number)
            command = [sys.executable, "-m", "dataprep", "image-folder"]
            command += ["--source", str(source), "--output", str(output)]
            command += ["--train-shards", "128", "--val-shards", "32"]  # all of one size
            baseline = Path(folder) / "baseline"
            convert_plainly(source, baseline)  # TensorFlow's first calls are slower
            plain = [convert_plainly(source, baseline)]
            memory, cpu = measured(command)
            plain.append(convert_plainly(source, baseline))
            rate = steady_rate(output, number)
            times = rate / (sum(plain) / len(plain))
            print(f"{number:,} images")
            print(f"    plain     {plain[0]:7,.0f} images/s before, {plain[1]:,.0f} after")
            print(f"    dataprep  {rate:7,.0f} images/s, {times:.1f} times")
            print(f"    CPU time  {cpu / number * 1e6:7,.0f} µs an image, start included")
            print(f"    memory    {memory / 2**20:7,.0f} MiB at its peak")


if __name__ == "__main__":
    main()
