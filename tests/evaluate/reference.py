"""pycocotools' own figures, as everyone computes them."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

from pycocotools.coco import COCO  # type: ignore[import-untyped]
from pycocotools.cocoeval import COCOeval  # type: ignore[import-untyped]


def coco_stats(truth: Path, results: Path, kind: str) -> list[float]:
    """The twelve figures; `kind` is `bbox` or `segm`."""
    with contextlib.redirect_stdout(io.StringIO()):
        data = COCO(str(truth))
        evaluation = COCOeval(data, data.loadRes(str(results)), kind)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return [float(value) for value in evaluation.stats]
