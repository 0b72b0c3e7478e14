"""The report, in a real browser."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from tests.evaluate.report.browser import look
from tests.evaluate.test_boxes import shaken
from tests.media.browser import find as find_browser
from visioncli.evaluate import coco_json, detect, labels, mask_folder, pixels
from visioncli.evaluate.data import BoxSet, LabelSet
from visioncli.evaluate.labels import Guess
from visioncli.evaluate.report import of_boxes, of_labels, of_pixels
from visioncli.evaluate.report.page import html, write
from visioncli.evaluate.saved import BoxAnswers

needs_browser = pytest.mark.skipif(find_browser() is None, reason="no browser is installed")
DRIVE = """
const select = document.getElementById('class');
const cards = () => [...document.querySelectorAll('.card')];
const seen = () => cards().filter(c => getComputedStyle(c).display !== 'none');
const out = {all: seen().length};
select.value = 'person'; select.dispatchEvent(new Event('change'));
out.person = seen().length;
out.only = seen().every(c => c.dataset.labels.split('\\n').includes('person'));
out.curves = document.querySelectorAll('.curve.on').length;
out.said = document.getElementById('shown').textContent;
select.value = ''; select.dispatchEvent(new Event('change'));
out.again = seen().length;
const button = document.querySelectorAll('thead button')[1]; button.click();
const column = [...document.querySelectorAll('tbody tr')].map(r => Number(r.cells[1].dataset.value));
out.sorted = column.every((v, i) => !i || column[i - 1] >= v);
document.querySelector('tbody tr').click(); out.clicked = select.value;
document.title = JSON.stringify(out);
"""


@pytest.fixture(scope="module")
def few(data: Path) -> tuple[BoxSet, BoxAnswers]:
    """Ten pictures, and answers that are often wrong."""
    whole = coco_json.load(data / "coco" / "instances.json")
    kept = {p.id for p in whole.pictures[:10]}
    some = BoxSet(
        "<coco> & co", "COCO", whole.pictures[:10], whole.names,
        [a for a in whole.annotations if a["image_id"] in kept], True,
    )  # fmt: skip
    rows = [r for r in shaken(data / "coco" / "instances.json") if r["image_id"] in kept]
    return some, BoxAnswers(rows)


def outside(text: str) -> list[str]:
    """Addresses that a browser would go to."""
    return re.findall(
        r"""(?:src|href)=["']?(?!data:)([^"'\s>]+)|url\((?!["']?data:)([^)]+)\)|@import""", text
    )


@needs_browser
def test_boxes(few: tuple[BoxSet, BoxAnswers], tmp_path: Path) -> None:
    some, answers = few
    outcome, counted = detect.outcome("detect", some, answers, options={"data": "x"}, notes=["a <note>"])
    write(tmp_path / "report", of_boxes.page(outcome, some, answers.of("box"), counted))
    page = tmp_path / "report" / "index.html"
    assert not outside(page.read_text("utf-8"))
    seen = look(page, tmp_path, DRIVE)
    assert seen.console == []
    title = re.search(r"<title>(.*?)</title>", seen.dom)
    assert title is not None
    told = json.loads(title[1])
    assert told["all"] == told["again"] > told["person"] > 0
    assert told["only"]
    assert told["curves"] == 2, "the class's lines in both drawings"
    assert told["said"] == f"{told['person']} mistakes shown"
    assert told["sorted"]
    assert told["clicked"] == "person", "most objects are people"
    assert "a &lt;note&gt;" in seen.dom
    assert "&lt;coco&gt; &amp; co" in seen.dom


@pytest.mark.slow
@needs_browser
def test_the_browser_tells_errors(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text("<!doctype html><body>x</body>")
    assert look(tmp_path / "a.html", tmp_path, "nowhere();").console != []


def test_masks(few: tuple[BoxSet, BoxAnswers]) -> None:
    some, answers = few
    outcome, counted = detect.outcome("segment", some, answers, options={}, notes=[])
    text = html(of_boxes.page(outcome, some, answers.of("mask"), counted))
    assert text.count('class="card"') > 5
    assert "mAP .50:.95 (boxes)" not in text.split("<section")[0], "of masks first"


def test_nothing_found(few: tuple[BoxSet, BoxAnswers]) -> None:
    some, _ = few
    outcome, counted = detect.outcome("detect", some, BoxAnswers([]), options={}, notes=[])
    text = html(of_boxes.page(outcome, some, [], counted))
    assert "Misses, by size" in text
    assert '<p class="none">none</p>' in text


def test_labels(data: Path) -> None:
    paths = sorted((data / "photos").glob("*.jpg"))[:4]
    some = LabelSet("photos", "CSV", paths, [0, 1, 1, 2], ["a", "b", "c"])
    guesses = [Guess(i, [c, 2 - c], [0.9, 0.1], ["abc"[c], "abc"[2 - c]]) for i, c in enumerate((0, 0, 1, 1))]
    outcome, counted = labels.outcome(
        some, guesses, k=2, model="m", weights=None, shown=some.names, options={}, notes=[]
    )
    text = html(of_labels.page(outcome, some, guesses, counted, some.names))
    assert text.count('class="card"') == 2
    assert "is b, not among" in text


def test_pixels(data: Path) -> None:
    voc = mask_folder.load(data / "voc")
    assert voc is not None
    tally = pixels.Tally(voc, keep=True)
    for i in range(3):
        tally.add(i, np.roll(mask_folder.read(voc.masks[i]), 20, axis=0))
    counted = pixels.figures(tally.matrix)
    outcome = pixels.outcome(voc, counted, pictures=3, model=None, weights=None, options={}, notes=[])
    text = html(of_pixels.page(outcome, voc, counted, tally))
    assert text.count('class="card"') == 3
    assert "% of pixels wrong" in text
