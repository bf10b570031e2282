import io

import numpy as np
import pytest
from hand_made import image
from PIL import Image, ImageFont

from dataprep import contact_sheet
from dataprep.contact_sheet import CELL, GAP, MARGIN, Row, draw
from dataset import record

COLUMNS = {"train": 2, "val": 1}
GREY = (230, 230, 230)


def plain(color: str, size=(8, 8), mode="RGB", file_format="PNG") -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, size, color).save(buffer, file_format)
    return buffer.getvalue()


def sheet_of(train=(), val=(), name="ant", note="label 1") -> np.ndarray:
    return np.asarray(draw([Row(name, note, {"train": train, "val": val})], COLUMNS))


def cells(sheet: np.ndarray) -> list[np.ndarray]:
    """The three cells of a sheet with one row, from the right."""
    lefts = [MARGIN + CELL, MARGIN + 2 * CELL + contact_sheet.SPLIT_GAP]
    lefts.append(lefts[1] + CELL + GAP)
    width = sheet.shape[1]
    return [sheet[-MARGIN - CELL : -MARGIN, width - left : width - left + CELL] for left in lefts]


def test_each_image_is_in_its_cell():
    val, second, first = cells(sheet_of([plain("red"), plain("lime")], [plain("blue")]))
    assert (first == (255, 0, 0)).all()
    assert (second == (0, 255, 0)).all()
    assert (val == (0, 0, 255)).all()


def test_few_images_leave_cells_blank_and_many_are_left_out():
    val, second, first = cells(sheet_of(train=[plain("red")]))
    assert (first == (255, 0, 0)).all()
    assert (second == 255).all()
    assert (val == 255).all()
    val, *_ = cells(sheet_of(train=[plain("red")] * 3))
    assert (val == 255).all()


def test_few_pixels_are_squares():
    noise = Image.open(io.BytesIO(image(0, (8, 8))))
    first = cells(sheet_of([image(0, (8, 8))]))[2]
    np.testing.assert_array_equal(first, np.asarray(noise).repeat(16, 0).repeat(16, 1))


def test_large_image_keeps_its_shape():
    first = cells(sheet_of([plain("red", (400, 200), file_format="JPEG")]))[2]
    red = first[:, :, 1] < 10
    assert red.sum(axis=0).max() == 64
    assert red.sum(axis=1).max() == 128
    assert red[32:96].all()


def test_large_image_with_a_palette_is_smoothed():
    buffer = io.BytesIO()
    checkers = np.indices((512, 512)).sum(0).astype(np.uint8) % 2 * 255
    Image.fromarray(checkers).convert("P").save(buffer, "PNG")
    first = cells(sheet_of([buffer.getvalue()]))[2]
    assert 120 < first.min() <= first.max() < 135


@pytest.mark.parametrize("encoded", [b"hello", b"", image(0)[:-60], plain("red", (2, 2))], ids=repr)
def test_image_that_is_not_decoded_is_grey(encoded, monkeypatch):
    if encoded == plain("red", (2, 2)):
        monkeypatch.setattr(record, "MAX_PIXELS", 3)
    first = cells(sheet_of([encoded]))[2]
    assert tuple(first[0, 0]) == GREY
    assert tuple(first[-1, -1]) == GREY


@pytest.mark.parametrize(
    ("mode", "file_format", "white"),
    [("L", "PNG", 255), ("P", "GIF", "white"), ("CMYK", "JPEG", (0, 0, 0, 0))],
)
def test_other_colour_spaces(mode, file_format, white):
    first = cells(sheet_of([plain(white, (8, 8), mode, file_format)]))[2]
    assert (first == 255).all()


@pytest.mark.parametrize(
    "name", ["", "日本 \U0001f600", "two\nlines", "\x00", "מילה", "n" * 10_000, "long " * 100]
)
@pytest.mark.parametrize("font", ["DejaVuSans.ttf", "no-such-font.ttf"])
def test_any_name_is_drawn_within_its_column(name, font, monkeypatch):
    monkeypatch.setattr(contact_sheet, "FONT", font)
    blank = sheet_of(name="")
    drawn = sheet_of(name=name, note="")
    assert drawn.shape[0] == blank.shape[0]
    widest = MARGIN + contact_sheet.LABEL_WIDTH + contact_sheet.SPLIT_GAP * 2 + 3 * CELL + GAP
    assert drawn.shape[1] <= widest + MARGIN


def test_name_is_on_one_line():
    np.testing.assert_array_equal(sheet_of(name="two\nlines"), sheet_of(name="two lines"))


def test_name_and_counts_are_written():
    sheet = sheet_of(name="ant", note="100 train, 20 val")
    assert (sheet != sheet_of(name="fly", note="100 train, 20 val")).any()
    assert (sheet_of(name="bee" * 99, note="1") != sheet_of(name="bee" * 99, note="2")).any()


def test_font_of_the_system_is_optional():
    assert isinstance(contact_sheet._font(12), ImageFont.FreeTypeFont)


def test_no_rows():
    assert draw([], COLUMNS).height > 0
