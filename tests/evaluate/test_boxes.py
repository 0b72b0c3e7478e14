"""Figures of boxes and masks, beside pycocotools' on the same answers."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco_mask  # type: ignore[import-untyped]

from tests.evaluate.reference import coco_stats
from visioncli.evaluate import boxes, coco_json, saved
from visioncli.evaluate.boxes import COCO, ClassHits, Row
from visioncli.evaluate.data import BoxSet, Picture

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
    """The truth with every tenth object a crowd, its mask as plain run lengths like COCO's crowds."""
    tree = json.loads(data.read_text())
    sizes = {i["id"]: (i["height"], i["width"]) for i in tree["images"]}
    for one in tree["annotations"][::10]:
        size = sizes[one["image_id"]]
        mask = coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects(one["segmentation"], *size)))
        flat = mask.T.reshape(-1)
        steps = np.flatnonzero(np.diff(flat, prepend=0))
        one["segmentation"] = {"size": list(size), "counts": np.diff([0, *steps, flat.size]).tolist()}
        one["iscrowd"] = 1
    return tree


@pytest.mark.parametrize(
    ("kind", "boxes_too"),
    [
        ("box", True),
        pytest.param("mask", True, marks=pytest.mark.slow),
        pytest.param("mask", False, marks=pytest.mark.slow),
    ],
)
def test_equal_to_pycocotools(data: Path, tmp_path: Path, kind: str, boxes_too: bool) -> None:
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


def tiny(found: list[tuple[list[float], float, int]], crowd: bool = False) -> tuple[BoxSet, list[Row]]:
    """One picture with two objects of class 1 (the second perhaps a crowd) and one of class 2."""
    truth = [([0, 0, 10, 10], 1, 0), ([50, 50, 40, 40], 1, int(crowd)), ([20, 20, 10, 10], 2, 0)]
    annotations = [
        {"id": i, "image_id": 1, "category_id": c, "bbox": [float(v) for v in box], "area": box[2] * box[3],
         "iscrowd": crowd}
        for i, (box, c, crowd) in enumerate(truth, 1)
    ]  # fmt: skip
    data = BoxSet("tiny", "COCO", [Picture(1, Path("a.jpg"), 100, 100)], {1: "a", 2: "b"}, annotations)
    rows = [{"image_id": 1, "category_id": c, "bbox": box, "score": score} for box, score, c in found]
    return data, rows


def test_hits_by_class() -> None:
    data, rows = tiny([([0, 0, 10, 10], 0.9, 1), ([1, 0, 10, 10], 0.8, 1), ([55, 55, 40, 40], 0.7, 1)])
    hits = boxes.matches(data, rows).of(1)
    assert hits.scores.tolist() == [0.9, 0.8, 0.7]
    assert hits.hit.tolist() == [True, False, True]
    assert hits.objects == 2
    # Precision 1 up to a recall of 1/2, then 2/3.
    assert hits.ap_every_point() == pytest.approx(0.5 + 0.5 * 2 / 3)
    assert hits.ap_11_points() == pytest.approx((6 + 5 * 2 / 3) / 11)
    assert hits.best_f1() == (pytest.approx(0.35), pytest.approx(0.8))
    assert hits.f1_at(np.array([0.0, 0.75, 0.95])).tolist() == pytest.approx([0.8, 0.5, 0.0])


def test_a_crowd_is_neither_right_nor_wrong() -> None:
    data, rows = tiny(
        [([0, 0, 10, 10], 0.9, 1), ([55, 55, 10, 10], 0.8, 1), ([60, 60, 9, 9], 0.7, 1)], crowd=True
    )
    hits = boxes.matches(data, rows).of(1)
    assert (hits.scores.tolist(), hits.hit.tolist(), hits.objects) == ([0.9], [True], 1)
    assert boxes.figures(data, rows).classes[0].ap == pytest.approx(1.0)


@pytest.mark.parametrize("kind", ["box", "mask"])
def test_nothing_found(kind: str) -> None:
    data, _ = tiny([])
    if kind == "mask":
        for one in data.annotations:
            x, y, w, h = one["bbox"]
            one["segmentation"] = [[x, y, x + w, y, x + w, y + h, x, y + h]]
    figures = boxes.figures(data, [], kind)
    assert figures.coco["map"] == 0
    assert figures.coco["map_large"] is None, "there are no large objects"
    assert [c.best_f1 for c in figures.classes] == [0.0, 0.0]
    assert figures.classes[0].threshold is None


def test_nothing_there() -> None:
    data, rows = tiny([([0, 0, 10, 10], 0.9, 1)])
    bare = BoxSet("bare", "COCO", data.pictures, data.names, [])
    figures = boxes.figures(bare, rows)
    assert set(figures.coco.values()) == {None}
    assert figures.voc == {"voc2007": None, "voc2012": None}


def test_equal_scores_stay_together() -> None:
    data, rows = tiny([([0, 0, 10, 10], 0.5, 1), ([70, 0, 10, 10], 0.5, 1), ([50, 50, 40, 40], 0.5, 1)])
    threshold, f1 = boxes.matches(data, rows).of(1).best_f1()
    assert (threshold, f1) == (pytest.approx(0.25), pytest.approx(0.8)), "not the F1 of a part of them"


@given(st.lists(st.tuples(st.floats(0.01, 1), st.booleans()), max_size=40), st.integers(1, 60))
@settings(max_examples=60, deadline=None)
def test_the_sweep_finds_the_best(found: list[tuple[float, bool]], objects: int) -> None:
    found.sort(key=lambda pair: -pair[0])
    hits = ClassHits(
        np.array([s for s, _ in found]),
        np.array([h for _, h in found], np.bool_),
        max(objects, sum(h for _, h in found)),
    )
    threshold, f1 = hits.best_f1()
    everywhere = hits.f1_at(np.unique([s for s, _ in found])) if found else np.zeros(1)
    assert f1 == pytest.approx(everywhere.max())
    if threshold is not None:
        assert hits.f1_at(np.array([threshold]))[0] == pytest.approx(f1)
