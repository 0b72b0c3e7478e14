"""The report of boxes and of instance masks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from visioncli.errors import InputError
from visioncli.evaluate import mistakes
from visioncli.evaluate.boxes import BoxFigures, Row
from visioncli.evaluate.data import BoxSet
from visioncli.evaluate.outcome import Outcome
from visioncli.evaluate.report import charts, pictures
from visioncli.evaluate.report.page import Card, Chart, Gallery, Page

MOST, MOST_OF_CLASS = 90, 12  # cards in a gallery
_MATRIX = 30  # classes in the confusion matrix
_LEGEND = "Orange: what was said. Dashed green: what is there."


def page(outcome: Outcome, data: BoxSet, rows: Sequence[Row], counted: BoxFigures) -> Page:
    """Curves, the confusion matrix and the worst mistakes."""
    wrong = mistakes.find(data, rows, counted.kind)
    here = [c for c in counted.classes if c.objects]
    steps = np.linspace(0, 1, 101)
    f1 = [(c.name, counted.hits.of(c.category).f1_at(steps)) for c in here]
    precision = [(c.name, c.precision) for c in here]
    drawn = [
        Chart(
            "Precision and recall",
            "IoU 0.5. The strong line is the mean of the classes.",
            charts.curves(precision, _mean(precision), across="recall", down="precision"),
        ),
        Chart(
            "F1 by score threshold",
            "IoU 0.5. The highest point is the threshold that --sweep writes.",
            charts.curves(f1, _mean(f1), across="lowest score", down="F1"),
        ),
        _matrix(data, wrong),
    ]
    columns = ("class", "objects", "found", "AP", "AP 50", "AR", "best F1", "at score")
    table = [
        (c.name, c.objects, c.found, c.ap, c.ap50, c.ar, c.best_f1, c.threshold)
        for c in counted.classes
        if c.objects or c.found
    ]
    return Page(outcome, drawn, _galleries(data, wrong), [row[0] for row in table], columns, table)


def _mean(named: Sequence[tuple[str, Any]]) -> Any:
    return np.mean([values for _, values in named], axis=0) if named else np.zeros(101)


def _matrix(data: BoxSet, wrong: mistakes.Mistakes) -> Chart:
    """The classes with the most objects that are no plain hits or misses, then the most objects."""
    matrix = wrong.matrix
    inner = matrix[:-1, :-1]
    confused = inner.sum(0) + inner.sum(1) - 2 * np.diag(inner)
    order = np.lexsort((-matrix[:-1].sum(1), -confused))
    chosen = [k for k in order.tolist() if matrix[k].sum() + matrix[:, k].sum()][:_MATRIX]
    chosen.sort()
    names = [data.names[wrong.categories[k]] for k in chosen]
    take = [*chosen, len(matrix) - 1]
    counts = matrix[np.ix_(take, take)]
    most = "" if len(chosen) >= (matrix[:-1, :-1].sum(1) > 0).sum() else " The most confused classes."
    return Chart(
        "Confusions",
        f"Rows: what is there. Columns: what was said. From a score of {mistakes.CONF} on, IoU 0.5.{most}",
        charts.heat_map([*names, "nothing"], [*names, "not found"], counts),
        wide=True,
    )


def _galleries(data: BoxSet, wrong: mistakes.Mistakes) -> list[Gallery]:
    """The worst of each kind; few of each class, so that the filter has something for all."""
    names = data.names
    false = _some(wrong.false_positives, lambda f: (f.row["category_id"],))
    misses = _some(wrong.misses, lambda a: (a["category_id"],))
    confused = _some(wrong.confusions, lambda c: (c.object["category_id"], c.row["category_id"]))
    drawer = _Drawer(data)
    for f in false:
        drawer.want(f.row["image_id"], f.row["bbox"], f.near["bbox"] if f.near else None)
    for a in misses:
        drawer.want(a["image_id"], None, a["bbox"])
    for c in confused:
        drawer.want(c.row["image_id"], c.row["bbox"], c.object["bbox"])
    drawn = iter(drawer.draw())
    return [
        Gallery(
            "False positives, by score",
            f"Answers with no object of their class. {len(wrong.false_positives)} in all. {_LEGEND}",
            [
                Card(
                    src, f"{names[f.row['category_id']]} {f.row['score']:.2f}", f.why,
                    [names[f.row["category_id"]]],
                )
                for f, src in zip(false, drawn, strict=False)
                if src
            ],
        ),
        Gallery(
            "Misses, by size",
            f"Objects without an answer. {len(wrong.misses)} in all. {_LEGEND}",
            [
                Card(
                    src, names[a["category_id"]],
                    f"{a['bbox'][2]:.0f} × {a['bbox'][3]:.0f} px", [names[a["category_id"]]],
                )
                for a, src in zip(misses, drawn, strict=False)
                if src
            ],
        ),
        Gallery(
            "Confusions, by score",
            f"Objects that were found and called something else. {len(wrong.confusions)} in all. {_LEGEND}",
            [
                Card(
                    src, f"{names[c.object['category_id']]}, not {names[c.row['category_id']]}",
                    f"score {c.row['score']:.2f}",
                    [names[c.object["category_id"]], names[c.row["category_id"]]],
                )
                for c, src in zip(confused, drawn, strict=False)
                if src
            ],
        ),
    ]  # fmt: skip


def _some(items: Sequence[Any], classes: Callable[[Any], tuple[int, ...]]) -> list[Any]:
    """The first ones, few of each class: at least one of each class that has any, as far as there is room."""
    taken: list[Any] = []
    count: dict[int, int] = {}
    for item in items:
        own = classes(item)
        if max(count.get(c, 0) for c in own) >= MOST_OF_CLASS or len(taken) >= MOST:
            continue
        for c in own:
            count[c] = count.get(c, 0) + 1
        taken.append(item)
    return taken


class _Drawer:
    """Draws thumbnails; each picture is read once."""

    def __init__(self, data: BoxSet) -> None:
        self._paths = {p.id: p.path for p in data.pictures}
        self._wanted: list[tuple[int, Any, Any]] = []

    def want(self, picture: int, said: Any, true: Any) -> None:
        """One more, at the end."""
        self._wanted.append((picture, said, true))

    def draw(self) -> list[str]:
        """All, in order; an empty string where the picture cannot be read."""
        out = [""] * len(self._wanted)
        by_picture: dict[int, list[int]] = {}
        for i, (picture, _, _) in enumerate(self._wanted):
            by_picture.setdefault(picture, []).append(i)
        for picture, places in by_picture.items():
            try:
                image = pictures.read(self._paths[picture])
            except InputError:  # it was reported when the model was to see it
                continue
            for i in places:
                _, said, true = self._wanted[i]
                out[i] = pictures.around(image, said, true)
        return out
