"""Writes the two folders beside this file, with tensorflow_datasets: `python make.py`.

The images are drawn here, from numbers by chance: nobody else's work is in them.
"""

from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds

HERE = Path(__file__).parent


class Shapes(tfds.core.GeneratorBasedBuilder):
    """Named classes, JPEG, three splits, names of the images' files."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        features = {
            "image": tfds.features.Image(shape=(None, None, 3), encoding_format="jpeg"),
            "label": tfds.features.ClassLabel(names=["disc", "square", "bar"]),
            "file_name": tfds.features.Text(),
        }
        return tfds.core.DatasetInfo(
            builder=self,
            features=tfds.features.FeaturesDict(features),
            supervised_keys=("image", "label"),
        )

    def _split_generators(self, dl_manager):
        return {
            "train": self._generate_examples(0, 24),
            "validation": self._generate_examples(1, 9),
            "test": self._generate_examples(2, 3),
        }

    def _generate_examples(self, seed, number):
        chance = np.random.default_rng(seed)
        y, x = np.mgrid[:16, :16] - 7.5
        for index in range(number):
            size = chance.uniform(4, 7)
            shapes = (x**2 + y**2 < size**2, np.maximum(abs(x), abs(y)) < size, abs(x) < size / 3)
            image = np.where(shapes[index % 3][..., None], *chance.integers(0, 255, (2, 3)))
            name = f"{index:02d}.jpg"
            yield (
                name,
                {
                    "image": image.astype(np.uint8),
                    "label": index % 3,
                    "file_name": name,
                },
            )


class Tones(tfds.core.GeneratorBasedBuilder):
    """Classes without names, PNG, a configuration, other keys, one split in three shards."""

    VERSION = tfds.core.Version("2.1.0")
    BUILDER_CONFIGS = [tfds.core.BuilderConfig(name="small")]  # noqa: RUF012

    def _info(self):
        features = {
            "photo": tfds.features.Image(shape=(8, 8, 1), encoding_format="png"),
            "tone": tfds.features.ClassLabel(num_classes=4),
        }
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples()}

    def _generate_examples(self):
        chance = np.random.default_rng(3)
        for index in range(40):
            tone = index % 4
            image = chance.integers(60 * tone, 60 * tone + 50, (8, 8, 1))
            yield index, {"photo": image.astype(np.uint8), "tone": tone}


if __name__ == "__main__":
    Shapes(data_dir=HERE).download_and_prepare()
    shards = tfds.download.DownloadConfig(num_shards=3)
    Tones(data_dir=HERE, config="small").download_and_prepare(download_config=shards)
