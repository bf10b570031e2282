import xml.etree.ElementTree as ET

import pytest

from components.train.curves import draw_curves

SVG = "{http://www.w3.org/2000/svg}"
HISTORY = [
    {
        "loss": 2.0 / n,
        "top1": 0.1 * n,
        "val_loss": 2.5 / n,
        "val_top1": 0.08 * n,
        "learning_rate": r,
        "images_per_second": 100.0 + n,
    }
    for n, r in enumerate((0.1, 0.2, 0.05), 1)
]


def words(root: ET.Element) -> set[str]:
    return {text.text for text in root.iter(f"{SVG}text")}


def lines(root: ET.Element) -> list[int]:
    """How many points each line of data has."""
    paths = [
        path.get("d")
        for group in root.iter(f"{SVG}g")
        if (group.get("id") or "").startswith("line2d")
        for path in group.findall(f"{SVG}path")
        if path.get("clip-path")
    ]
    grid = 2  # points of a line of the grid
    return [len(path.split("L")) for path in paths if len(path.split("L")) != grid]


def test_curves_have_a_point_for_each_epoch():
    root = ET.fromstring(draw_curves(HISTORY))
    assert lines(root) == [3] * 6  # two of loss, two of top-1, the learning rate, the speed
    titles = {"loss, nats, logarithmic", "top-1", "learning rate", "images/s"}
    assert {*titles, "training", "validation"} <= words(root)


def test_losses_of_any_size_can_be_told_apart():
    root = ET.fromstring(draw_curves([{**HISTORY[0], "val_loss": 298.4}, *HISTORY[1:]]))
    assert {"1", "10", "100"} <= words(root)


@pytest.mark.parametrize("history", [HISTORY[:1], [{"loss": float("nan"), "learning_rate": 0.1}]])
def test_one_epoch_and_missing_values_are_drawn(history):
    ET.fromstring(draw_curves(history))


def test_same_curves_give_the_same_file():
    assert draw_curves(HISTORY) == draw_curves(HISTORY)


def test_what_is_drawn_in_ink_takes_the_colour_of_the_pages_text():
    drawn = draw_curves(HISTORY)
    assert "fill: currentColor" in drawn
    assert "#000000" not in drawn
