"""Objects that move in straight lines, as a detector would report them."""

from __future__ import annotations

import numpy as np

from visioncli.results import Detections


def walkers(frame: int, *, count: int = 3, classes: list[int] | None = None) -> Detections:
    """`count` boxes of 40 x 80 px side by side, 3 px further to the right in each frame, best score first."""
    left = 20 + 150 * np.arange(count) + 3 * frame
    top = 50 + 20 * np.arange(count)
    boxes = np.stack((left, top, left + 40, top + 80), 1).astype(np.float32)
    scores = (0.9 - 0.05 * np.arange(count)).astype(np.float32)
    return Detections(boxes, scores, np.array(classes or [0] * count, np.int64))
