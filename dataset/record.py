"""The record and the folder it lies in: feature keys, label base, shard names.

The record is the one that the ImageNet conversion tool writes. Only `IMAGE` and `LABEL` are needed.
A data set's folder holds `train/train-00000-of-00128`, `val/val-00000-of-00064` (any shard counts),
and, when `dataprep` wrote it, `labels.txt` and `manifest.json`.
"""

IMAGE = "image/encoded"  # bytes: the JPEG or PNG file
LABEL = "image/class/label"  # int64, from LABEL_BASE
SYNSET = "image/class/synset"  # bytes: the class's key, by which labels are ordered
FORMAT = "image/format"  # bytes: b"JPEG" or b"PNG"
FILENAME = "image/filename"  # bytes
HEIGHT = "image/height"  # int64, pixels
WIDTH = "image/width"  # int64, pixels
COLORSPACE = "image/colorspace"  # bytes: b"RGB" or b"Grayscale"
CHANNELS = "image/channels"  # int64: 3 or 1

LABEL_BASE = 1  # the first class's label; the network's output 0 is label 1

MAX_CLASSES = 1_000_000  # a greater label is a mistake: each class costs memory and an output

MIN_SIDE = 8  # pixels; less shows nothing
MAX_PIXELS = 2**25  # width × height; decoded, more than 100 MB: a mistake, or a decompression bomb

TRAIN = "train"
VAL = "val"
SPLITS = (TRAIN, VAL)

LABELS_FILE = "labels.txt"  # class names, one a line, in label order
MANIFEST_FILE = "manifest.json"  # what dataprep wrote; dataset/folder.py reads it


def shard_name(split: str, index: int, count: int) -> str:
    """Path of a shard inside the data set's folder, e.g. `train/train-00003-of-00128`."""
    return f"{split}/{split}-{index:05d}-of-{count:05d}"


def shard_pattern(split: str) -> str:
    """Glob, inside the data set's folder, of all shards of `split`."""
    return f"{split}/{split}-*"
