"""Greedy non-maximum suppression in numpy, to the last bit what `torchvision.ops.nms` keeps on a CPU."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from visioncli.results import Floats, Ints

# Candidates are looked at in blocks: a 256 × 256 table of overlaps costs about as much as ten single rows.
BLOCK = 256
# Above this many boxes torchvision's `batched_nms` compares class by class, below it offsets the boxes.
TORCHVISION_OFFSET_LIMIT = 1000


def nms(
    boxes: Floats,
    scores: Floats,
    classes: Ints | None,
    iou: float,
    limit: int | None = None,
    *,
    offset: float | None = None,
) -> Ints:
    """Indices (int64, best score first, at most `limit`) of the boxes that no better box overlaps too much.

    `boxes` (N, 4) float32 as x1, y1, x2, y2; `scores` (N,) float32, equal ones keep their order; `classes`
    (N,) int: a box suppresses only boxes of its own class, None: of any class. `offset` moves each box by
    class × offset before overlaps are computed in float32: that is how the libraries tell classes apart, and
    it decides the last bit (Ultralytics: 7680); classes themselves are not compared then.
    The arithmetic is that of torchvision's CPU kernel: overlap = inter / (a + b - inter), suppressed where
    greater than `iou`; two boxes without area never suppress each other.
    """
    count = len(scores)
    limit = count if limit is None else min(limit, count)
    if limit <= 0:
        return np.zeros(0, np.int64)
    order = np.argsort(-scores, kind="stable").astype(np.int64)
    if classes is not None and offset is not None:
        boxes = boxes + (classes.astype(np.float32) * np.float32(offset))[:, None]
        classes = None
    rows = _Rows(boxes[order], None if classes is None else classes[order], iou)

    kept = np.zeros(0, np.int64)
    for start in range(0, count, BLOCK):
        block = np.arange(start, min(start + BLOCK, count))
        if len(kept):
            block = block[~rows.overlap(kept, block).any(axis=0)]
        suppressed_by = rows.overlap(block, block)
        alive = np.ones(len(block), np.bool_)
        chosen = []
        for i in range(len(block)):
            if alive[i]:
                chosen.append(i)
                alive[i + 1 :] &= ~suppressed_by[i, i + 1 :]
        kept = np.concatenate((kept, block[chosen]))
        if len(kept) >= limit:
            break
    return order[kept[:limit]]


def torchvision_batched_nms(
    boxes: Floats, scores: Floats, classes: Ints, iou: float, limit: int | None = None
) -> Ints:
    """`torchvision.ops.batched_nms` on a CPU; arguments as for `nms`.

    It moves few boxes apart by their greatest coordinate + 1, and compares many class by class.
    """
    if len(scores) == 0 or len(scores) > TORCHVISION_OFFSET_LIMIT:
        return nms(boxes, scores, classes, iou, limit)
    return nms(boxes, scores, classes, iou, limit, offset=float(boxes.max() + np.float32(1)))


class _Rows:
    """Sorted boxes, and which of them overlap too much."""

    def __init__(self, boxes: Floats, classes: Ints | None, iou: float) -> None:
        self.x1, self.y1, self.x2, self.y2 = np.ascontiguousarray(boxes.T)
        self.areas = (self.x2 - self.x1) * (self.y2 - self.y1)
        self.classes = classes
        # A float64 scalar, so that the comparison happens in float64 as in torchvision's kernel.
        self.iou = np.float64(iou)

    def overlap(self, a: Ints, b: Ints) -> NDArray[np.bool_]:
        """(len(a), len(b)): does box a[i] suppress box b[j]?"""
        width = np.minimum(self.x2[a, None], self.x2[b]) - np.maximum(self.x1[a, None], self.x1[b])
        height = np.minimum(self.y2[a, None], self.y2[b]) - np.maximum(self.y1[a, None], self.y1[b])
        inter = np.maximum(width, 0) * np.maximum(height, 0)
        union = self.areas[a, None] + self.areas[b] - inter
        with np.errstate(divide="ignore", invalid="ignore"):
            too_much: NDArray[np.bool_] = inter / union > self.iou
        if self.classes is not None:
            too_much &= self.classes[a, None] == self.classes[b]
        return too_much
