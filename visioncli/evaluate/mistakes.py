"""What a detector got wrong, object by object: false positives, misses, confusions, and their matrix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visioncli.evaluate.boxes import Row, matches
from visioncli.evaluate.data import Annotation, BoxSet

CONF = 0.25
"""Answers below are nobody's mistakes: a user does not see them."""
IOU = 0.5
_LOOSE = 0.1
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class FalsePositive:
    """An answer with nothing of its class there. `iou` with the nearest such object, `why` in words."""

    row: Row
    why: str
    near: Annotation | None


@dataclass(frozen=True, slots=True)
class Confusion:
    """An object that was found (IoU ≥ 0.5), and called something else."""

    row: Row
    object: Annotation


@dataclass(frozen=True, slots=True)
class Mistakes:
    """Each list worst first: by score, by size, by score.

    `matrix[t, p]` counts objects of category `categories[t]` answered as `categories[p]`; the last row is
    nothing there, the last column not found.
    """

    false_positives: Sequence[FalsePositive]
    misses: Sequence[Annotation]
    confusions: Sequence[Confusion]
    categories: Sequence[int]
    matrix: NDArray[np.int64]


def find(data: BoxSet, rows: Sequence[Row], kind: str = "box") -> Mistakes:
    """Of the answers from a score of 0.25 on: first each class by itself as COCO matches it.

    Then what is left of both sides, best overlap first. What lies on a crowd is left out.
    """
    rows = [_with_box(row) for row in rows if row["score"] >= CONF]
    hits = matches(data, rows, kind)
    objects = [a for a in data.annotations if not a["iscrowd"]]
    found = set(hits.found.tolist())
    place = {c: i for i, c in enumerate(data.names)}
    matrix = np.zeros((len(place) + 1, len(place) + 1), np.int64)
    for row, number in zip(rows, hits.found.tolist(), strict=True):
        if number:
            matrix[place[row["category_id"]], place[row["category_id"]]] += 1
    left = _by_picture(
        row for row, n, crowd in zip(rows, hits.found, hits.crowd, strict=True) if not n and not crowd
    )
    missed = _by_picture(a for a in objects if a["id"] not in found)
    there = _by_picture(objects)
    false, misses, confusions = [], [], []
    for picture in {*left, *missed}:
        answers, unfound = left.get(picture, []), missed.get(picture, [])
        for i, j in _pairs(answers, unfound):
            confusions.append(Confusion(answers[i], unfound[j]))
        taken = {id(c.row) for c in confusions} | {id(c.object) for c in confusions}
        false += [_false(row, there.get(picture, []), found) for row in answers if id(row) not in taken]
        misses += [a for a in unfound if id(a) not in taken]
    for c in confusions:
        matrix[place[c.object["category_id"]], place[c.row["category_id"]]] += 1
    for f in false:
        matrix[-1, place[f.row["category_id"]]] += 1
    for a in misses:
        matrix[place[a["category_id"]], -1] += 1
    return Mistakes(
        sorted(false, key=lambda f: -f.row["score"]),
        sorted(misses, key=lambda a: -a["bbox"][2] * a["bbox"][3]),
        sorted(confusions, key=lambda c: -c.row["score"]),
        list(data.names),
        matrix,
    )


def _with_box(row: Row) -> Row:
    """A row with the box of its mask, where it has only that."""
    if "bbox" in row:
        return row
    from visioncli import rle

    mask = rle.decode(row["segmentation"])
    ys, xs = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(ys):
        return {**row, "bbox": [0.0, 0.0, 0.0, 0.0]}
    left, top = float(xs[0]), float(ys[0])
    return {**row, "bbox": [left, top, float(xs[-1] + 1 - xs[0]), float(ys[-1] + 1 - ys[0])]}


def _by_picture(items: Any) -> dict[int, list[Any]]:
    grouped: dict[int, list[Any]] = {}
    for item in items:
        grouped.setdefault(item["image_id"], []).append(item)
    return grouped


def _pairs(answers: Sequence[Row], objects: Sequence[Annotation]) -> list[tuple[int, int]]:
    """Pairs that overlap by 0.5 or more, the best first, each side once."""
    overlap = overlaps([a["bbox"] for a in answers], [o["bbox"] for o in objects])
    pairs = []
    while overlap.size and overlap.max() >= IOU:
        i, j = (int(k) for k in np.unravel_index(np.argmax(overlap), overlap.shape))
        pairs.append((i, j))
        overlap[i], overlap[:, j] = 0, 0
    return pairs


def _false(row: Row, objects: Sequence[Annotation], found: set[int]) -> FalsePositive:
    """Why an answer is wrong, by the object of its class that it overlaps most."""
    same = [o for o in objects if o["category_id"] == row["category_id"]]
    overlap = overlaps([row["bbox"]], [o["bbox"] for o in same])
    if not overlap.size or overlap.max() < _LOOSE:
        return FalsePositive(row, "nothing of this class there", None)
    near = same[int(overlap.argmax())]
    if overlap.max() >= IOU and near["id"] in found:
        return FalsePositive(row, "found twice", near)
    return FalsePositive(row, f"loose: IoU {np.floor(100 * overlap.max()) / 100:.2f}", near)


def overlaps(one: Sequence[Sequence[float]], other: Sequence[Sequence[float]]) -> Floats:
    """IoU (N, M) of boxes (left, top, width, height)."""
    a, b = np.array(one, np.float64).reshape(-1, 1, 4), np.array(other, np.float64).reshape(1, -1, 4)
    low = np.maximum(a[..., :2], b[..., :2])
    high = np.minimum(a[..., :2] + a[..., 2:], b[..., :2] + b[..., 2:])
    inner = np.clip(high - low, 0, None).prod(-1)
    outer = a[..., 2:].prod(-1) + b[..., 2:].prod(-1) - inner
    return np.asarray(inner / np.maximum(outer, 1e-12))
