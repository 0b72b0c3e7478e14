"""`agreement`: whether a run's masks folder, its record and its overlays say the same."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from PIL import Image as PillowImage

from tests import schema
from visioncli import rle
from visioncli.output.objects import numbered
from visioncli.render import Style, draw
from visioncli.render.style import class_colour
from visioncli.results import Detections, Result


def agreement(record: Path, out: Path) -> tuple[int, int, float, float]:
    """Compare what `vision segment … --masks … --alpha 1 --jsonl RECORD --out OUT` wrote for PNG pictures.

    Asserts that mask files are the record's masks, pixel by pixel. Returns how many pictures and objects
    there are, the worst picture's share of pixels whose overlay is not what the record's masks give when they
    are drawn, and the worst share of pixels well inside an object that do not have its colour.
    """
    lines = [line for line in schema.check(record) if line["type"] == "result"]
    objects, redrawn, off_colour = 0, 0.0, 0.0
    for line in lines:
        result = result_of(line)
        numbers = pixels(Path(line["mask_file"]))
        assert numbers.dtype == np.uint16
        assert np.array_equal(numbers, numbered(result)), f"{line['source']}: the mask file is another"
        assert [r["area"] for r in line["results"]] == result.masks.areas.tolist()
        original, overlay = pixels(Path(line["source"])), pixels(out / Path(line["source"]).name)
        expected = draw(original, result, Style(alpha=1))
        redrawn = max(redrawn, float((expected != overlay).any(axis=2).mean()))
        plain = draw(original, result, Style(alpha=1, labels=False))
        untagged = (plain == expected).all(axis=2)
        seen = wrong = 0
        for number, row in enumerate(line["results"], 1):
            inside = cv2.erode((numbers == number).astype(np.uint8), np.ones((15, 15), np.uint8)) > 0
            seen += int((inside & untagged).sum())
            wrong += int((overlay[inside & untagged] != class_colour(row["class"])).any(axis=1).sum())
        off_colour = max(off_colour, wrong / max(seen, 1))
        objects += len(line["results"])
    return len(lines), objects, redrawn, off_colour


def result_of(line: dict) -> Result:
    """A record's line as a result again."""
    rows, size = line["results"], (line["height"], line["width"])
    names = {row["class"]: row["label"] for row in rows}
    found = Detections(
        np.array([row["box"] for row in rows], np.float32).reshape(-1, 4),
        np.array([row["score"] for row in rows], np.float32),
        np.array([row["class"] for row in rows], np.int64),
        rle.masks_of([row["mask"] for row in rows], size),
    )
    labels = [names.get(c, "") for c in range(max(names, default=0) + 1)]
    return Result(line["source"], line["width"], line["height"], found, labels)


def pixels(path: Path) -> np.ndarray:
    """A picture's values as they are stored."""
    with PillowImage.open(path) as image:
        return np.asarray(image)
