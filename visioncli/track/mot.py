"""MOTChallenge's text format: `frame,id,left,top,width,height,conf,-1,-1,-1`, frames and ids from 1.

https://motchallenge.net/instructions/ (px; written and read as they are, with 0 at the left and top edge).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from visioncli.errors import UsageError

if TYPE_CHECKING:
    from visioncli.results import Result


@dataclass(frozen=True, slots=True)
class Rows:
    """N lines by frame: `frames` and `ids` (N,) int64, `boxes` (N, 4) x1, y1, x2, y2 px, `scores` (N,)."""

    frames: NDArray[np.int64]
    ids: NDArray[np.int64]
    boxes: NDArray[np.float64]
    scores: NDArray[np.float64]


def read(path: Path) -> Rows:
    """A whole file. UsageError, with the line, for what is not of this format."""
    numbers: list[list[float]] = []
    with path.open("r", encoding="utf-8", errors="replace") as file:
        for number, line in enumerate(file, 1):
            fields = line.replace(",", " ").split()
            if not fields:
                continue
            try:
                numbers.append([float(field) for field in fields[:7]])
            except ValueError as error:
                raise _bad(path, number) from error
            if len(fields) < 7 or not np.isfinite(numbers[-1]).all() or numbers[-1][0] < 1:
                raise _bad(path, number)
    rows = np.array(numbers, np.float64).reshape(-1, 7)
    rows = rows[np.argsort(rows[:, 0], kind="stable")]
    boxes = rows[:, 2:6].copy()
    boxes[:, 2:] += boxes[:, :2]
    return Rows(rows[:, 0].astype(np.int64), rows[:, 1].astype(np.int64), boxes, rows[:, 6].copy())


def lines(result: Result) -> str:
    """A frame's tracks as lines, in the order of their ids."""
    found = result.detections
    assert found.ids is not None
    assert result.frame is not None
    text = []
    for i in np.argsort(found.ids, kind="stable").tolist():
        x1, y1, x2, y2 = (round(v, 2) for v in found.boxes[i].tolist())
        box = f"{x1:.2f},{y1:.2f},{x2 - x1:.2f},{y2 - y1:.2f}"
        text.append(f"{result.frame + 1},{found.ids[i]},{box},{found.scores[i]:.4f},-1,-1,-1\n")
    return "".join(text)


def _bad(path: Path, number: int) -> UsageError:
    return UsageError(
        f"{path}:{number}: not a line of MOTChallenge", hint="frame,id,left,top,width,height,conf,…"
    )
