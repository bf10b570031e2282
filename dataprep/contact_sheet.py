"""Draws a sheet with a row of images for each class, training and validation side by side."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

from dataset import record
from dataset.upright import upright

FONT = "DejaVuSans.ttf"  # has most scripts' letters; where it is not installed Pillow's own is used
NAME_SIZE, NOTE_SIZE = 20, 14
BLACK, GREY, LIGHT_GREY = "#1a1a1a", "#757575", "#e6e6e6"

CELL = 128  # pixels; the side of the square that an image is fitted into
GAP = 6
SPLIT_GAP = 30  # between training and validation images
MARGIN = 24
HEADER = 36
LABEL_WIDTH = 260  # at most


@dataclass(frozen=True)
class Row:
    """A class on the sheet.

    Attributes:
        name: Its name.
        note: What is written below the name.
        images: Split → encoded images; those in excess of the sheet's columns are left out.
    """

    name: str
    note: str
    images: Mapping[str, Sequence[bytes]]


def draw(rows: Sequence[Row], columns: Mapping[str, int]) -> Image.Image:
    """Draws the sheet.

    Args:
        rows: The classes from the top down.
        columns: Split → how many of its images a row has room for.
    """
    name_font, note_font = _font(NAME_SIZE), _font(NOTE_SIZE)
    names = [_fitted(row.name, name_font) for row in rows]
    notes = [_fitted(row.note, note_font) for row in rows]
    widths = [*map(name_font.getlength, names), *map(note_font.getlength, notes)]
    lefts, right = {}, MARGIN + round(max(widths, default=0))
    for split, number in columns.items():
        lefts[split] = right + SPLIT_GAP
        right = lefts[split] + number * (CELL + GAP) - GAP
    height = MARGIN + HEADER + len(rows) * (CELL + GAP) - GAP + MARGIN
    sheet = Image.new("RGB", (right + MARGIN, height), "white")
    pen = ImageDraw.Draw(sheet)
    for split, left in lefts.items():
        pen.text((left, MARGIN), split, GREY, name_font)
    for index, row in enumerate(rows):
        top = MARGIN + HEADER + index * (CELL + GAP)
        middle = top + CELL // 2
        pen.text((MARGIN, middle), names[index], BLACK, name_font, anchor="ls")
        pen.text((MARGIN, middle + GAP), notes[index], GREY, note_font, anchor="la")
        for split, left in lefts.items():
            for column, encoded in enumerate(row.images[split][: columns[split]]):
                _paste(sheet, encoded, left + column * (CELL + GAP), top)
    return sheet


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    try:
        return ImageFont.truetype(FONT, size)
    except OSError:
        return ImageFont.load_default(size)


def _fitted(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    """The text on one line, its end left out where it is too long for the column."""
    text = " ".join(text.split())
    if font.getlength(text) <= LABEL_WIDTH:
        return text
    text = text[:LABEL_WIDTH]  # a letter has at least a pixel
    while font.getlength(f"{text}…") > LABEL_WIDTH:
        text = text[:-1]
    return f"{text}…"


def _paste(sheet: Image.Image, encoded: bytes, left: int, top: int) -> None:
    """Puts an image into the middle of its cell, grey where it is not decoded."""
    try:
        image = _thumbnail(encoded)
    except (OSError, SyntaxError, ValueError):  # Pillow's plugins differ in this
        image = Image.new("RGB", (CELL, CELL), LIGHT_GREY)
        ImageDraw.Draw(image).text(
            (CELL // 2, CELL // 2), "not decoded", GREY, _font(NOTE_SIZE), anchor="mm"
        )
    sheet.paste(image, (left + (CELL - image.width) // 2, top + (CELL - image.height) // 2))


def _thumbnail(encoded: bytes) -> Image.Image:
    """The image so large that it fills a cell; one of few pixels shows each as a square."""
    file = Image.open(io.BytesIO(encoded))
    if file.width * file.height > record.MAX_PIXELS:
        raise ValueError("too large to decode")
    file.draft("RGB", (CELL, CELL))  # a large JPEG is decoded at a fraction of its size
    image = upright(file).convert("RGB")
    factor = CELL // max(image.size)
    if factor > 1:
        return image.resize((factor * image.width, factor * image.height), Image.Resampling.NEAREST)
    image.thumbnail((CELL, CELL), Image.Resampling.LANCZOS)
    return image
