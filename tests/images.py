"""Small sources of images for the tests of dataprep."""

import io
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image


def image_file(
    number: int = 0, mode: str = "RGB", file_format: str = "JPEG", side: int = 16
) -> bytes:
    """An image's file; another number is another image."""
    pixels = np.random.RandomState(number).randint(256, size=(4, 4, 3), dtype=np.uint8)
    image = Image.fromarray(pixels).resize((side, side)).convert(mode)
    buffer = io.BytesIO()
    image.save(buffer, file_format)
    return buffer.getvalue()


def huge_png(side: int = 30_000) -> bytes:
    """A PNG file of some hundred bytes that announces side × side pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + checksum

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    data = zlib.compress(bytes(1000))
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    )


def tiny_imagenet(
    synsets: tuple[str, ...] = ("n01", "n02"), train: int = 3, val: int = 2
) -> dict[str, bytes]:
    """Path → file of a Tiny ImageNet in the official layout, with `train` and `val` of a class."""
    files = {"words.txt": b"".join(f"{s}\tthe {s}, {s}\n".encode() for s in synsets)}
    lines = []
    for label, synset in enumerate(synsets):
        for index in range(train):
            name = f"{synset}_{index}.JPEG"
            files[f"train/{synset}/images/{name}"] = image_file(100 * label + index)
        files[f"train/{synset}/{synset}_boxes.txt"] = b"a box\n"
        for index in range(val):
            number = val * label + index
            files[f"val/images/val_{number}.JPEG"] = image_file(10_000 + number)
            lines.append(f"val_{number}.JPEG\t{synset}\t0\t0\t9\t9\n")
    files["val/val_annotations.txt"] = "".join(lines).encode()
    files["test/images/test_0.JPEG"] = b"not read"
    return {f"tiny-imagenet-200/{path}": data for path, data in files.items()}


def class_folders(classes: Mapping[str, int]) -> dict[str, bytes]:
    """Path → file of a folder for each class, with so many images."""
    return {
        f"{name}/{index}.jpg": image_file(1000 * label + index)
        for label, (name, number) in enumerate(classes.items())
        for index in range(number)
    }


def write_folder(folder: Path, files: Mapping[str, bytes]) -> Path:
    """Writes files into a folder, and returns it."""
    for path, data in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    return folder


def write_zip(
    path: Path, files: Mapping[str, bytes], compression: int = zipfile.ZIP_DEFLATED
) -> Path:
    """Writes files into a zip archive, and returns it."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def read_split(folder: Path, split: str) -> list[dict[str, bytes | int]]:
    """The records of a split in the shards' order, each as feature key → value."""
    import tensorflow as tf

    shards = sorted(str(path) for path in (folder / split).iterdir())
    records = []
    for serialized in tf.data.TFRecordDataset(shards).as_numpy_iterator():
        features = tf.train.Example.FromString(serialized).features.feature
        records.append(
            {
                key: (feature.bytes_list.value or feature.int64_list.value)[0]
                for key, feature in features.items()
            }
        )
    return records


def all_files(folder: Path) -> dict[str, bytes]:
    """Path inside `folder` → file."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }
