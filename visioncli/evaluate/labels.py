"""Figures of a classifier: top-1, top-5, calibration, by class and confused with which."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visioncli.evaluate.data import LabelSet
from visioncli.evaluate.outcome import Outcome, Table
from visioncli.registry import cards
from visioncli.registry.cards import Weights

BINS = 15
_SHOWN = 20  # confusions in the table
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Guess:
    """A picture's best classes, best first, as the data set numbers them; -1 is a class that it lacks.

    `labels` are the model's words for them.
    """

    picture: int
    classes: Sequence[int]
    scores: Sequence[float]
    labels: Sequence[str]


@dataclass(frozen=True, slots=True)
class LabelFigures:
    """`top5`, `ece`: None where the answers do not tell. `confusion[t, p]` counts; p -1: another class."""

    pictures: int
    top1: float
    top5: float | None
    ece: float | None
    mean_class: float
    bins: Sequence[tuple[int, float, float]]
    support: Ints
    right: Ints
    right5: Ints
    confusion: dict[tuple[int, int], int] = field(repr=False)


def figures(truth: Sequence[int], guesses: Sequence[Guess], classes: int, k: int) -> LabelFigures:
    """Count. `truth` by picture; one without a guess counts as wrong. `k`: labels that a guess holds."""
    support = np.bincount(np.array(truth, np.int64), minlength=classes)
    right, right5 = np.zeros(classes, np.int64), np.zeros(classes, np.int64)
    confusion: dict[tuple[int, int], int] = {}
    sure, correct = [], []
    for guess in guesses:
        t = truth[guess.picture]
        p = guess.classes[0] if guess.classes else -1
        confusion[t, p] = confusion.get((t, p), 0) + 1
        right[t] += p == t
        right5[t] += t in guess.classes[:5]
        if guess.scores:
            sure.append(guess.scores[0])
            correct.append(p == t)
    bins = calibration(np.array(sure), np.array(correct, np.bool_))
    there = support > 0
    return LabelFigures(
        pictures=len(truth),
        top1=float(right.sum() / len(truth)),
        top5=float(right5.sum() / len(truth)) if k >= min(5, classes) else None,
        ece=sum(n * abs(score - share) for n, score, share in bins) / len(sure) if sure else None,
        mean_class=float((right[there] / support[there]).mean()),
        bins=bins,
        support=support,
        right=right,
        right5=right5,
        confusion=confusion,
    )


def calibration(scores: Floats, correct: NDArray[np.bool_]) -> list[tuple[int, float, float]]:
    """Count, mean score and share of right ones in each of 15 equal bins of the best label's score.

    Guo et al., "On Calibration of Modern Neural Networks", ICML 2017. A bin holds its upper edge.
    """
    place = np.clip(np.ceil(scores * BINS).astype(np.int64) - 1, 0, BINS - 1)
    bins = []
    for b in range(BINS):
        inside = place == b
        n = int(inside.sum())
        bins.append((n, float(scores[inside].mean()), float(correct[inside].mean())) if n else (0, 0.0, 0.0))
    return bins


def outcome(
    data: LabelSet,
    guesses: Sequence[Guess],
    *,
    k: int,
    model: str | None,
    weights: Weights | None,
    shown: Sequence[str],
    options: dict[str, Any],
    notes: list[str],
) -> tuple[Outcome, LabelFigures]:
    """Figures, accuracy by class and the commonest confusions; `shown[c]` is what class `c` is called."""
    counted = figures(data.labels, guesses, len(data.names), k)
    keys = {"top1": counted.top1, "top5": counted.top5, "ece": counted.ece, "mean_class": counted.mean_class}
    classes = [
        {
            "label": shown[c], "name": data.names[c], "pictures": n, "top1": counted.right[c] / n,
            "top5": None if counted.top5 is None else counted.right5[c] / n,
        }
        for c, n in enumerate(counted.support.tolist()) if n
    ]  # fmt: skip
    rows = [(row["label"], row["pictures"], float(row["top1"]), row["top5"]) for row in classes]
    confused = sorted((-n, t, p) for (t, p), n in counted.confusion.items() if t != p)
    names = [*shown, "(another class)"]
    pairs = [(names[t], names[p], -n) for n, t, p in confused]
    published = {}
    if weights is not None and len(data.names) == len(cards.labels("imagenet")):
        published = {k: weights.metrics[k] / 100 for k in ("top1", "top5") if k in weights.metrics}
    about = {
        "name": data.name,
        "format": data.format,
        "pictures": len(data.paths),
        "classes": len(data.names),
    }
    return Outcome(
        task="classify",
        data=about,
        model=model,
        options=options,
        figures=keys,
        labels={"top1": "top-1", "top5": "top-5", "ece": "ECE", "mean_class": "top-1, mean of classes"},
        classes=classes,
        tables=[
            Table("class", ("class", "pictures", "top-1", "top-5"), rows),
            Table("confused", ("is", "taken for", "times"), pairs[:_SHOWN]),
        ],
        published=published,
        page=weights.page if weights else None,
        extra={
            "calibration": [{"pictures": n, "score": s, "right": r} for n, s, r in counted.bins],
            "confusions": [{"is": t, "taken_for": p, "times": n} for t, p, n in pairs],
        },
        notes=notes,
    ), counted
