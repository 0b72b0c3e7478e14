"""Figures of boxes and masks, beside pycocotools' on the same answers."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as coco_mask  # type: ignore[import-untyped]

from tests.evaluate.reference import coco_stats
from visioncli.evaluate import boxes, coco_json, saved
from visioncli.evaluate.boxes import COCO

KINDS = {"box": "bbox", "mask": "segm"}


def shaken(data: Path, seed: int = 5) -> list[dict[str, Any]]:
    """COCO results made of the truth: moved, some missing, some of another class, some out of nothing."""
    rng = random.Random(seed)
    tree = json.loads(data.read_text())
    sizes = {i["id"]: (i["height"], i["width"]) for i in tree["images"]}
    rows = []
    for one in tree["annotations"]:
        if rng.random() < 0.15:
            continue
        runs = coco_mask.merge(coco_mask.frPyObjects(one["segmentation"], *sizes[one["image_id"]]))
        mask = np.roll(coco_mask.decode(runs), rng.randint(-6, 6), axis=rng.randint(0, 1))
        shape = coco_mask.encode(np.asfortranarray(mask))
        x, y, w, h = one["bbox"]
        move = [rng.gauss(0, 0.06) * side for side in (w, h, w, h)]
        category = one["category_id"] if rng.random() < 0.9 else rng.choice(tree["categories"])["id"]
        rows.append(
            {
                "image_id": one["image_id"],
                "category_id": category,
                "bbox": [x + move[0], y + move[1], w + abs(move[2]), h + abs(move[3])],
                "segmentation": {"size": shape["size"], "counts": shape["counts"].decode()},
                "score": round(rng.random(), 2),  # ties happen
            }
        )
    return rows


def crowded(data: Path) -> dict[str, Any]:
    """The truth with every tenth object a crowd."""
    tree = json.loads(data.read_text())
    for i, one in enumerate(tree["annotations"]):
        one["iscrowd"] = int(i % 10 == 0)
    return tree


@pytest.mark.parametrize("boxes_too", [True, False])
@pytest.mark.parametrize("kind", ["box", "mask"])
def test_equal_to_pycocotools(data: Path, tmp_path: Path, kind: str, boxes_too: bool) -> None:
    if kind == "box" and not boxes_too:
        return
    truth, results = tmp_path / "truth.json", tmp_path / "results.json"
    truth.write_text(json.dumps(crowded(data / "coco" / "instances.json")))
    rows = shaken(data / "coco" / "instances.json")
    if not boxes_too:
        rows = [{k: v for k, v in row.items() if k != "bbox"} for row in rows]
    results.write_text(json.dumps(rows))
    ours = coco_json.load(truth)
    figures = boxes.figures(ours, saved.boxes(results, ours).of(kind), kind)
    expected = coco_stats(truth, results, KINDS[kind])
    got = [figures.coco[key] for key, _ in COCO]
    assert got == pytest.approx(expected, abs=1e-6)
    assert 0.2 < expected[0] < 0.95, "neither perfect nor nothing"
