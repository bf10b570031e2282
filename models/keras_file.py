"""A network as one file, `.keras`, with what it was trained for.

Keras alone reads the network: `keras.models.load_model("model.keras")`. The file is a zip archive;
what the network was trained for is in its `metadata.json`, of which Keras makes nothing.
"""

import dataclasses
import json
import tempfile
import zipfile
from pathlib import Path

import keras

_METADATA = "metadata.json"  # Keras's
_KEY = "fishnet"


@dataclasses.dataclass(frozen=True)
class About:
    """What a network was trained for.

    Attributes:
        network: Name in `models.configs.CONFIGS`.
        stem: "published" or "small".
        class_names: In the order of the logits.
        pixel_mean: Of each channel, red first, on the scale of 0..255.
        pixel_stddev: Likewise. The network takes (pixels - pixel_mean) / pixel_stddev.
        width: As `models.configs.scaled` takes it. Files of earlier versions do not name it.
        depth: Likewise.
    """

    network: str
    stem: str
    class_names: list[str]
    pixel_mean: list[float]
    pixel_stddev: list[float]
    width: float = 1.0
    depth: float = 1.0


def write(model: keras.Model, about: About, path: str | Path) -> None:
    """Write `model` to `path`, which ends in `.keras`.

    Raises:
        OSError: If `path` cannot be written.
    """
    with tempfile.TemporaryDirectory() as folder:
        plain = f"{folder}/model.keras"
        model.save(plain)
        with zipfile.ZipFile(plain) as source, zipfile.ZipFile(path, "w") as target:
            for member in source.infolist():
                content = source.read(member)
                if member.filename == _METADATA:
                    known = json.loads(content) | {_KEY: dataclasses.asdict(about)}
                    content = json.dumps(known).encode()
                target.writestr(member, content)


def read_about(path: str | Path) -> About:
    """What the network in `path` was trained for.

    Example:
        >>> read_about("model.keras").class_names
        ['cat', 'dog']

    Raises:
        OSError: If `path` cannot be read.
        ValueError: If `path` is not a file that `write` wrote.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return About(**json.loads(archive.read(_METADATA))[_KEY])
    except (zipfile.BadZipFile, ValueError, KeyError, TypeError) as error:
        raise ValueError(
            "`path` must be a .keras file that this project wrote. "
            f"Received: path={path}, at which reading failed with {type(error).__name__}: {error}"
        ) from error
