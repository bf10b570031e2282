"""The page of hand-made facts in a headless Chromium: as it looks, and whom it lets in."""

import dataclasses
import io
from collections import Counter

import numpy as np
import pytest
from browser import chromium, open_page  # noqa: F401
from PIL import Image

from components.evaluate.answers import Answer, Kept, image_digest
from components.ingest.report import Report
from components.report.facts import ClassFacts, DataFacts, Facts, Shown
from components.report.images import Quarantined, thumbnail
from components.report.model_card import render_card
from components.report.page import render_page
from components.train.curves import draw_curves
from pipeline.config import Config

HOSTILE = ("<script>alert(1)</script>", "\"quoted\" & 'so'", "ימין לשמאל", "$a$ {{ 7 * 7 }}")
TOO_LARGE = 3_000_000  # bytes

SUMMARY = {
    "verdict": "pushed",
    "message": "",
    "started": "2026-11-26 12:00:00+00:00",
    "command": "python local_runner.py --data '<b>'",
    "data": "data/<b>",
    "model_version": "17",
    "serving_model": "/serving/17",
    "metrics": {"top1": 0.5, "top5": 0.75, "loss": 1.5, "top1_diff": 0.125, "slices": {}},
    "thresholds": {
        "min_top1": {"bound": 0.25, "value": 0.5, "met": True},
        "min_class_top1": {"bound": 0.1, "value": 0.0, "met": False, "class": HOSTILE[0]},
    },
    "trials": [],
    "serving": {
        "load_seconds": 1.0,
        "median_seconds": 0.01,
        "p99_seconds": 0.02,
        "outcomes": {},
        "faults": [],
    },
    "examples": {},
    "leaked": 0,
    "components": {"Trainer": {"seconds": 1.5, "cached": False, "peak_mb": 512.0}},
    "log": "logs/1.log",
}
FAILED = {
    **SUMMARY,
    "verdict": "failed",
    "message": "OSError: <No space> left",
    "metrics": {},
    "thresholds": {},
    "serving": None,
    "model_version": None,
    "serving_model": None,
}


def photo() -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(1).integers(0, 255, (64, 64, 3), np.uint8)).save(
        file, "JPEG"
    )
    return file.getvalue()


def full_facts(count: int) -> Facts:
    names = [*HOSTILE, *(f"class {n}" for n in range(len(HOSTILE), count))]
    report = Report(leaked=3)
    for split in ("train", "val"):
        report.classes[split].update({(n + 1, ""): 50 + n for n in range(count)})
    report.bad["train"] = Counter({"no label": 1})
    image = thumbnail(photo())
    shown = [Shown(image, names[0], names[n % 4], 0.75, 0.125) for n in range(24)]
    answers = Kept()
    answers.add(Answer(image_digest(b""), 0, 0, 0.75, 0.75))
    confusion = np.full([count, count], 1) + 20 * np.eye(count, dtype=np.int64)
    return Facts(
        summary=SUMMARY,
        config=Config().told(),
        class_names=names,
        classes=[
            ClassFacts(name, {"train": 50, "val": 5}, n / count, 1.0, 0.5, [(names[0], 2)])
            for n, name in enumerate(names)
        ],
        confusion=confusion,
        answers=answers,
        mistakes=shown,
        drawn=shown,
        curves=draw_curves(
            [{"loss": 2.0, "top1": 0.25, "val_loss": 2.5, "learning_rate": 0.1}] * 3
        ),
        data=DataFacts(
            report,
            [(64, 64), (48, 32)],
            [1.0] * 3,
            [2.0] * 3,
            ["train: <b>"],
            [Quarantined("train/train-0, record 3", "<img src=x>", "no label", image)],
        ),
        lineage={"model": "/artifacts/model/1"},
    )


def facts_of_a_failed_run() -> Facts:
    nothing = dict.fromkeys(field.name for field in dataclasses.fields(Facts))
    empty = dict.fromkeys(("class_names", "classes", "mistakes", "drawn"), ())
    given = {"summary": FAILED, "config": Config().told(), "curves": "", "lineage": {}}
    return Facts(**{**nothing, **empty, **given})


PAGES = {"full": full_facts(10), "failed": facts_of_a_failed_run()}


@pytest.fixture(scope="module", params=PAGES)
def page(request, tmp_path_factory):
    file = tmp_path_factory.mktemp("report") / f"{request.param}.html"
    file.write_text(render_page(PAGES[request.param]), "utf-8")
    return file


@pytest.mark.parametrize("colours", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1440])
def test_page_is_whole_and_open_to_all(page, open_page, width, colours):  # noqa: F811
    visit = open_page(page, width=width, colours=colours)
    assert (visit.console_errors, visit.page_errors) == ([], [])
    assert visit.requests == [page.resolve().as_uri()]
    assert visit.barriers() == []
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.fixture
def rendered(tmp_path, open_page):  # noqa: F811
    """Function: facts, and how wide the window is if not as ever → Playwright's page of them."""

    def rendered(facts: Facts, **options: int):
        file = tmp_path / "report.html"
        file.write_text(render_page(facts), "utf-8")
        return open_page(file, **options).page

    return rendered


@pytest.fixture
def full(rendered):
    return rendered(PAGES["full"])


def test_names_are_text_whatever_they_are(full):
    text = full.inner_text("body")
    for name in HOSTILE:
        assert name in text
    assert "<img src=x> no label\ntrain/train-0, record 3" in text
    assert full.locator("main b, main script, img[src=x]").count() == 0


def test_click_on_a_columns_head_sorts_by_it(full):
    table = full.locator("table", has=full.locator("caption", has_text="Each class"))
    column = table.locator("tbody tr td:nth-child(5)")
    best_first = [f"{n / 10:.1%}" for n in reversed(range(10))]
    table.get_by_role("button", name="top-1").click()
    assert column.all_inner_texts() == best_first
    table.get_by_role("button", name="top-1").click()
    assert column.all_inner_texts() == best_first[::-1]


def test_value_and_bound_and_the_champions_value_stand_side_by_side(full):
    text = full.inner_text("main").replace("\t", " ")
    assert "top1 0.5000 0.3750" in text
    assert "min_top1 0.5000 ≥ 0.25 met" in text
    assert f"min_class_top1 ({HOSTILE[0]}) 0.0000 ≥ 0.1 not met" in text


def test_long_names_leave_room_for_what_they_name(rendered):
    facts = full_facts(20)
    names = [f"{n}, {'a synonym, ' * 9}" for n in range(20)]
    classes = [
        dataclasses.replace(one, name=name, mistaken_for=[(name, 2)] * 3)
        for one, name in zip(facts.classes, names, strict=True)
    ]
    page = rendered(dataclasses.replace(facts, class_names=names, classes=classes), width=390)
    matrix = page.get_by_role("img", name="Confusion matrix").locator("image").first
    assert matrix.bounding_box()["width"] > 250
    table = page.locator("table", has=page.locator("caption", has_text="Each class"))
    heights = [row.bounding_box()["height"] for row in table.locator("tbody tr").all()]
    assert max(heights) < 500


def test_two_hundred_classes_fit():
    assert len(render_page(full_facts(200)).encode()) < TOO_LARGE


def test_failed_run_tells_why_and_how_to_run_it_again():
    text = render_page(PAGES["failed"])
    assert "OSError: &lt;No space&gt; left" in text
    assert "python local_runner.py --data &#39;&lt;b&gt;&#39;" in text
    assert "ended before it was evaluated" in render_card(PAGES["failed"])


def test_model_card_has_a_header_and_its_text_is_no_markup():
    card = render_card(PAGES["full"])
    _, header, body = card.split("---\n", 2)
    import yaml

    [entry] = yaml.safe_load(header)["model-index"]
    [result] = entry["results"]
    assert result["dataset"]["name"] == "data/<b>"
    assert [metric["value"] for metric in result["metrics"]] == [0.5, 0.75]
    assert r"\<script\>alert\(1\)\</script\>" in body
    assert "| top-1 | 0.5000 |" in body
