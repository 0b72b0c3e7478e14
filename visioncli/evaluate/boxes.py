"""Figures of boxes and of instance masks: COCO's and VOC's, through faster-coco-eval.

COCO: https://cocodataset.org/#detection-eval. VOC: Everingham et al., "The PASCAL VOC Challenge", IJCV 2010.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visioncli.evaluate.data import BoxSet
from visioncli.evaluate.extra import need

Row = dict[str, Any]
"""An object that was found, as COCO has it: image_id, category_id, score, bbox and/or segmentation."""
Floats = NDArray[np.float64]

# COCO's twelve figures in pycocotools' order: our key, what people call it.
COCO = (
    ("map", "mAP .50:.95"),
    ("map50", "mAP .50"),
    ("map75", "mAP .75"),
    ("map_small", "mAP small"),
    ("map_medium", "mAP medium"),
    ("map_large", "mAP large"),
    ("ar1", "AR 1"),
    ("ar10", "AR 10"),
    ("ar100", "AR 100"),
    ("ar_small", "AR small"),
    ("ar_medium", "AR medium"),
    ("ar_large", "AR large"),
)


@dataclass(frozen=True, slots=True)
class ClassBoxes:
    """One class: true objects (crowds apart), what was found, and its figures; None where it has no object.

    `best_f1` at `threshold`: the best F1 of any score threshold, at IoU 0.5. `precision` (101,) at recalls
    0, 0.01, … 1, IoU 0.5.
    """

    name: str
    category: int
    objects: int
    found: int
    ap: float | None
    ap50: float | None
    ar: float | None
    best_f1: float | None
    threshold: float | None
    precision: Floats = field(repr=False)


@dataclass(frozen=True, slots=True)
class BoxFigures:
    """All figures of one kind (`box` or `mask`), 0..1; None where the data set has no such object."""

    kind: str
    coco: dict[str, float | None]
    voc: dict[str, float | None]
    classes: Sequence[ClassBoxes]
    hits: Matches = field(repr=False)


def figures(data: BoxSet, rows: Sequence[Row], kind: str = "box") -> BoxFigures:
    """Count. `kind` is `box` (from `bbox`) or `mask` (from `segmentation`)."""
    evaluation = _evaluated(data, rows, kind)
    stats = [float(value) for value in evaluation.stats]
    precision, recall = evaluation.eval["precision"], evaluation.eval["recall"]
    hits = matches(data, rows, kind)
    classes, voc07, voc12 = [], [], []
    for k, category in enumerate(evaluation.params.catIds):
        mine = hits.of(int(category))
        threshold, f1 = mine.best_f1()
        classes.append(
            ClassBoxes(
                name=data.names[int(category)],
                category=int(category),
                objects=mine.objects,
                found=len(mine.scores),
                ap=_mean(precision[:, :, k, 0, -1]),
                ap50=_mean(precision[0, :, k, 0, -1]),
                ar=_mean(recall[:, k, 0, -1]),
                best_f1=f1,
                threshold=threshold,
                precision=np.maximum(precision[0, :, k, 0, -1], 0),
            )
        )
        if mine.objects:
            voc07.append(mine.ap_11_points())
            voc12.append(mine.ap_every_point())
    return BoxFigures(
        kind=kind,
        coco={key: (None if v < 0 else v) for (key, _), v in zip(COCO, stats, strict=True)},
        voc={
            "voc2007": float(np.mean(voc07)) if voc07 else None,
            "voc2012": float(np.mean(voc12)) if voc12 else None,
        },
        classes=classes,
        hits=hits,
    )


def _evaluated(data: BoxSet, rows: Sequence[Row], kind: str, **parameters: Any) -> Any:
    """faster-coco-eval, run over everything; `parameters` replace its own."""
    coco = need("faster_coco_eval", "faster-coco-eval")
    # It prints through these, and writes into the rows.
    truth = coco.COCO(data.coco(), print_function=_silent)
    answers = truth.loadRes([_row(row, kind) for row in rows])
    evaluation = coco.COCOeval_faster(
        truth, answers, "bbox" if kind == "box" else "segm", print_function=_silent
    )
    for name, value in parameters.items():
        setattr(evaluation.params, name, value)
    evaluation.evaluate()
    evaluation.accumulate()
    if not parameters:
        with contextlib.redirect_stdout(io.StringIO()):
            evaluation.summarize()
    return evaluation


def _silent(*_: object) -> None:
    """Print nothing."""


def _row(row: Row, kind: str) -> Row:
    """A copy with what is evaluated. Beside a mask the box stays: pycocotools takes the size from it."""
    if kind == "mask":
        return dict(row)
    return {key: value for key, value in row.items() if key != "segmentation"}


def _mean(values: NDArray[Any]) -> float | None:
    """The mean of COCO's figures; -1 stands for none."""
    there = values[values > -1]
    return float(there.mean()) if there.size else None


@dataclass(frozen=True, slots=True)
class ClassHits:
    """What was found of one class, best score first: `hit[i]` says whether it is a true object, IoU ≥ 0.5.

    `objects` counts the true ones. What lies on a crowd is left out: neither right nor wrong.
    """

    scores: Floats
    hit: NDArray[np.bool_]
    objects: int

    def curve(self) -> tuple[Floats, Floats]:
        """Recall and precision after each answer."""
        right = np.cumsum(self.hit)
        return right / max(self.objects, 1), right / np.arange(1, len(right) + 1)

    def best_f1(self) -> tuple[float | None, float | None]:
        """The threshold with the best F1, half-way down to the next score, and that F1; None without objects.

        Answers of one score go together: a threshold cannot part them.
        """
        if not self.objects or not self.hit.any():
            return None, (0.0 if self.objects else None)
        recall, precision = self.curve()
        f1 = 2 * recall * precision / np.maximum(recall + precision, 1e-12)
        last = np.append(self.scores[1:] != self.scores[:-1], True)
        best = int(np.argmax(np.where(last, f1, -1)))
        below = self.scores[best + 1] if best + 1 < len(self.scores) else 0.0
        return float((self.scores[best] + below) / 2), float(f1[best])

    def f1_at(self, thresholds: Floats) -> Floats:
        """F1 at each of these lowest scores."""
        said = np.searchsorted(-self.scores, -thresholds, side="right")
        right = np.concatenate(([0], np.cumsum(self.hit)))[said]
        return np.asarray(2 * right / np.maximum(said + self.objects, 1))

    def ap_11_points(self) -> float:
        """VOC 2007's AP: the mean over recalls 0, 0.1, … 1 of the best precision from there on."""
        recall, precision = self.curve()
        return float(np.mean([precision[recall >= r].max(initial=0.0) for r in np.linspace(0, 1, 11)]))

    def ap_every_point(self) -> float:
        """VOC 2010's AP and later ones': the area under the precision that never rises."""
        recall, precision = self.curve()
        if not len(recall):
            return 0.0
        falling = np.maximum.accumulate(precision[::-1])[::-1]
        return float(np.sum(np.diff(recall, prepend=0.0) * falling))


@dataclass(frozen=True, slots=True)
class Matches:
    """Which answer found which object: class by class, best score first, IoU ≥ 0.5, as COCO matches.

    `found[i]` is the annotation's number that row `i` found, 0 for none.
    """

    categories: NDArray[np.int64]
    scores: Floats
    found: NDArray[np.int64]
    crowd: NDArray[np.bool_]
    objects: dict[int, int]

    def of(self, category: int) -> ClassHits:
        """One class."""
        mine = np.flatnonzero((self.categories == category) & ~self.crowd)
        mine = mine[np.argsort(-self.scores[mine], kind="stable")]
        return ClassHits(self.scores[mine], self.found[mine] > 0, self.objects.get(category, 0))


def matches(data: BoxSet, rows: Sequence[Row], kind: str = "box") -> Matches:
    """Match all answers, however many a picture has."""
    evaluation = _evaluated(
        data, rows, kind,
        iouThrs=np.array([0.5]), areaRng=[[0, 1e10]], areaRngLbl=["all"], maxDets=[max(len(rows), 1)],
    )  # fmt: skip
    found = np.zeros(len(rows), np.int64)
    for pair in evaluation.eval["matched"]:
        answer, _, annotation = pair.partition("_")
        found[int(answer) - 1] = int(annotation)  # loadRes numbers the rows from 1
    crowds = {a["id"] for a in data.annotations if a["iscrowd"]}
    objects: dict[int, int] = {}
    for a in data.annotations:
        if not a["iscrowd"]:
            objects[a["category_id"]] = objects.get(a["category_id"], 0) + 1
    crowd = np.isin(found, list(crowds))
    return Matches(
        categories=np.array([row["category_id"] for row in rows], np.int64),
        scores=np.array([row["score"] for row in rows], np.float64),
        found=np.where(crowd, 0, found),
        crowd=crowd,
        objects=objects,
    )
