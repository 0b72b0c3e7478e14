"""The report of a classifier."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from visioncli.errors import InputError
from visioncli.evaluate.data import LabelSet
from visioncli.evaluate.labels import Guess, LabelFigures
from visioncli.evaluate.outcome import Outcome
from visioncli.evaluate.report import charts, pictures
from visioncli.evaluate.report.page import Card, Chart, Gallery, Page

MOST = 90  # cards in a gallery
_MATRIX = 30  # classes in the confusion matrix


def page(
    outcome: Outcome, data: LabelSet, guesses: Sequence[Guess], counted: LabelFigures, shown: Sequence[str]
) -> Page:
    """Calibration, confusions, and the wrong answers by score."""
    columns = ("class", "pictures", "top-1", "top-5")
    rows = [(c["label"], c["pictures"], float(c["top1"]), c["top5"]) for c in outcome.classes]
    ece = "" if counted.ece is None else f" ECE {counted.ece:.3f}: the mean distance, weighted by pictures."
    drawn = [
        Chart(
            "Calibration",
            f"How often the best label is right, by its score. Dashed: as often as the score says.{ece}",
            charts.reliability(counted.bins),
        )
    ]
    matrix = _matrix(counted, shown)
    if matrix is not None:
        drawn.append(matrix)
    return Page(outcome, drawn, [_wrong(data, guesses, shown)], [row[0] for row in rows], columns, rows)


def _matrix(counted: LabelFigures, shown: Sequence[str]) -> Chart | None:
    """The classes that are most confused with each other; None where none are."""
    wrong = sorted(((n, t, p) for (t, p), n in counted.confusion.items() if t != p and p >= 0), reverse=True)
    chosen: list[int] = []
    for _, t, p in wrong:
        if len({*chosen, t, p}) > _MATRIX:
            break
        chosen += [c for c in (t, p) if c not in chosen]
    if not chosen:
        return None
    chosen.sort()
    counts = np.array([[counted.confusion.get((t, p), 0) for p in chosen] for t in chosen], np.int64)
    others = [int(counted.support[t]) - int(counts[i].sum()) for i, t in enumerate(chosen)]
    names = [shown[c] for c in chosen]
    return Chart(
        "Confusions",
        "Rows: what it is. Columns: what it was taken for. The most confused classes.",
        charts.heat_map(
            names,
            [*names, "another"],
            np.column_stack([counts, others]),
        ),
        wide=len(chosen) > 12,
    )


def _wrong(data: LabelSet, guesses: Sequence[Guess], shown: Sequence[str]) -> Gallery:
    wrong = [g for g in guesses if g.classes and g.classes[0] != data.labels[g.picture]]
    wrong.sort(key=lambda g: -g.scores[0])
    cards = []
    for g in wrong[:MOST]:
        true = shown[data.labels[g.picture]]
        try:
            src = pictures.whole(pictures.read(data.paths[g.picture]))
        except InputError:  # it was reported when the model was to see it
            continue
        also = (
            g.classes[:5].index(data.labels[g.picture]) + 1
            if data.labels[g.picture] in g.classes[:5]
            else None
        )
        place = f"place {also}" if also else "not among the best 5"
        cards.append(
            Card(src, f"{g.labels[0]} {g.scores[0]:.2f}", f"is {true}, {place}", list({true, g.labels[0]}))
        )
    return Gallery("Wrong labels, by score", f"{len(wrong)} pictures in all, the surest first.", cards)
