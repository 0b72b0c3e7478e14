"""Figures of a class for every pixel: mean IoU and pixel accuracy, from one confusion matrix.

Long et al., "Fully Convolutional Networks for Semantic Segmentation", CVPR 2015. Pixels of 255 do not count;
a class that neither the truth nor the answers have is left out of means.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visioncli.errors import InputError
from visioncli.evaluate.data import MaskSet
from visioncli.evaluate.mask_folder import VOID, read
from visioncli.evaluate.outcome import Outcome, Table
from visioncli.registry import cards
from visioncli.registry.cards import Weights

_SHOWN = 20  # confusions in the table
_WORST = 24  # pictures that are kept for the report
Map = NDArray[np.uint8]
Ints = NDArray[np.int64]


def confusion(truth: Map, answer: Map, classes: int) -> Ints:
    """(classes, classes + 1) px: rows are true classes, columns answered ones, the last any other.

    Raises InputError for maps of different sizes or a true class that there is not.
    """
    if truth.shape != answer.shape:
        raise InputError(
            f"an answer of {answer.shape[::-1]} px for a mask of {truth.shape[::-1]} (width, height)"
        )
    counts = truth != VOID
    rows = truth[counts].astype(np.int64)
    if rows.size and rows.max() >= classes:
        raise InputError(f"a mask has class {rows.max()}, and there are {classes}")
    columns = np.minimum(answer[counts].astype(np.int64), classes)
    flat = np.bincount(rows * (classes + 1) + columns, minlength=classes * (classes + 1))
    return flat.reshape(classes, classes + 1)


class Tally:
    """Adds up pictures. With `keep`, `worst` has (pixel accuracy, place, answer) of the worst ones."""

    def __init__(self, data: MaskSet, *, keep: bool) -> None:
        self.matrix = np.zeros((len(data.names), len(data.names) + 1), np.int64)
        self.pictures = 0
        self.worst: list[tuple[float, int, Map]] = []
        self._data, self._keep = data, keep

    def add(self, place: int, answer: Map) -> None:
        """One picture's answer. InputError as `confusion`, and for a mask that cannot be read."""
        mask = self._data.masks[place]
        try:
            one = confusion(read(mask), answer, len(self._data.names))
        except InputError as error:
            raise InputError(f"{self._data.paths[place]}: {error}") from error
        self.matrix += one
        self.pictures += 1
        if self._keep:
            share = float(np.diag(one).sum() / max(one.sum(), 1))
            self.worst = sorted([*self.worst, (share, place, answer)], key=lambda w: w[:2])[:_WORST]


@dataclass(frozen=True, slots=True)
class PixelFigures:
    """`iou` and `accuracy` by class, nan where a class does not occur; the rest are shares."""

    miou: float
    pixel_accuracy: float
    mean_accuracy: float
    weighted_iou: float
    iou: NDArray[np.float64]
    accuracy: NDArray[np.float64]
    matrix: Ints


def figures(matrix: Ints) -> PixelFigures:
    """Figures of a summed confusion matrix."""
    right = np.diag(matrix).astype(np.float64)
    true, said = matrix.sum(1), matrix.sum(0)[:-1]
    union = true + said - right
    with np.errstate(invalid="ignore"):
        iou, accuracy = right / union, right / true
    iou[union == 0] = np.nan
    share = true / max(true.sum(), 1)
    return PixelFigures(
        miou=float(np.nanmean(iou)),
        pixel_accuracy=float(right.sum() / max(true.sum(), 1)),
        mean_accuracy=float(np.nanmean(accuracy)),
        weighted_iou=float(np.nansum(iou * share)),
        iou=iou,
        accuracy=accuracy,
        matrix=matrix,
    )


def outcome(
    data: MaskSet,
    counted: PixelFigures,
    *,
    pictures: int,
    model: str | None,
    weights: Weights | None,
    options: dict[str, Any],
    notes: list[str],
) -> Outcome:
    """Figures, IoU by class and the largest confusions."""
    true = counted.matrix.sum(1)
    total = max(int(true.sum()), 1)
    classes = [
        {
            "label": name, "share": float(true[c] / total), "iou": _or_none(counted.iou[c]),
            "accuracy": _or_none(counted.accuracy[c]),
        }
        for c, name in enumerate(data.names)
    ]  # fmt: skip
    rows = [
        (c["label"], c["share"], c["iou"], c["accuracy"])
        for c in classes
        if c["share"] or c["iou"] is not None
    ]
    names = [*data.names, "(another class)"]
    pairs = sorted(
        (
            (names[t], names[p], int(n) / total)
            for (t, p), n in np.ndenumerate(counted.matrix)
            if t != p and n
        ),
        key=lambda pair: -pair[2],
    )
    published = {}
    if weights is not None and list(data.names[1:]) == list(cards.labels("voc")[1:]):
        table = {"miou": "miou", "pixel_acc": "pixel_accuracy"}
        published = {ours: weights.metrics[k] / 100 for k, ours in table.items() if k in weights.metrics}
    return Outcome(
        task="segment",
        data={
            "name": data.name, "format": data.format, "pictures": pictures, "classes": len(data.names),
        },
        model=model,
        options=options,
        figures={
            "miou": counted.miou, "pixel_accuracy": counted.pixel_accuracy,
            "mean_accuracy": counted.mean_accuracy, "weighted_iou": counted.weighted_iou,
        },
        labels={
            "miou": "mIoU", "pixel_accuracy": "pixel accuracy", "mean_accuracy": "mean accuracy",
            "weighted_iou": "frequency-weighted IoU",
        },
        classes=classes,
        tables=[
            Table("class", ("class", "share of pixels", "IoU", "accuracy"), rows),
            Table("confused", ("is", "taken for", "share of pixels"), pairs[:_SHOWN]),
        ],
        published=published,
        page=weights.page if weights else None,
        extra={"confusion": counted.matrix},
        notes=notes,
    )  # fmt: skip


def _or_none(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def mapped(map: NDArray[Any], to_data: Mapping[int, int | None], classes: int) -> Map:
    """A model's map in the data set's numbers; what the data set lacks becomes `classes`."""
    table = np.full(max([int(map.max()), *to_data]) + 1, min(classes, VOID), np.uint8)
    for ours, theirs in to_data.items():
        if theirs is not None:
            table[ours] = theirs
    answer: Map = table[map]
    return answer
