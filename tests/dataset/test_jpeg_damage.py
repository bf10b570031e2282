import io
import re

import numpy as np
import pytest
from PIL import Image

from dataset.jpeg_damage import damage_of, is_harmless, warning_of


def jpeg(mode: str = "RGB", **options) -> bytes:
    noise = np.random.RandomState(0).randint(256, size=(150, 200), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).convert(mode).save(buffer, "JPEG", **options)
    return buffer.getvalue()


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("progressive", [True, False])
def test_whole_files_have_no_warning(mode, progressive):
    data = jpeg(mode, progressive=progressive)
    assert warning_of(data) == ""
    assert warning_of(data + b"more") == ""


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("progressive", [True, False])
def test_half_a_file_with_an_end_marker_is_damaged(mode, progressive):
    data = jpeg(mode, progressive=progressive)
    half = data[: len(data) // 2] + b"\xff\xd9"
    assert damage_of(half) == "Corrupt JPEG data: premature end of data segment"


def test_superfluous_bytes_are_harmless():
    data = jpeg()
    data = data[:-2] + bytes(30) + data[-2:]
    assert re.fullmatch("Corrupt JPEG data: [0-9]+ extraneous bytes before.*", warning_of(data))
    assert is_harmless(warning_of(data))
    assert damage_of(data) == ""


@pytest.mark.parametrize("data", [b"\xff\xd8", b"\xff\xd8\xff\xd9", b"\xff\xd8 and text"])
def test_no_image_at_all(data):
    assert damage_of(data)


def test_other_files_are_none_of_its_business():
    assert damage_of(b"\x89PNG") == ""
