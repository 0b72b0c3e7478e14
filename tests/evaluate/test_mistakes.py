"""What went wrong, object by object."""

from __future__ import annotations

import numpy as np

from tests.evaluate.test_boxes import tiny
from visioncli.evaluate import mistakes
from visioncli.evaluate.report import pictures


def test_every_kind() -> None:
    """Class 1 at (0, 0) and (50, 50), class 2 at (20, 20)."""
    data, rows = tiny(
        [
            ([0, 0, 10, 10], 0.9, 1),  # right
            ([1, 0, 10, 10], 0.8, 1),  # the same again
            ([21, 20, 10, 10], 0.7, 1),  # class 2, called 1
            ([80, 0, 10, 10], 0.6, 2),  # nothing there
            ([24, 20, 10, 10], 0.5, 2),  # class 2, but loose: IoU 0.43
            ([50, 50, 40, 40], 0.2, 1),  # right, and too unsure to be seen
        ]
    )
    found = mistakes.find(data, rows)
    assert [(f.row["score"], f.why) for f in found.false_positives] == [
        (0.8, "found twice"),
        (0.6, "nothing of this class there"),
        (0.5, "loose: IoU 0.42"),
    ]
    assert [(c.row["score"], c.object["category_id"]) for c in found.confusions] == [(0.7, 2)]
    assert [a["bbox"] for a in found.misses] == [[50, 50, 40, 40]]
    # Rows: what is there (1, 2, nothing). Columns: what was said (1, 2, not found).
    assert found.matrix.tolist() == [[1, 0, 1], [1, 0, 0], [1, 2, 0]]


def test_its_own_class_comes_first() -> None:
    """A better overlap of another class takes no object that its own class found."""
    data, rows = tiny([([20, 20, 10, 10], 0.9, 1), ([21, 20, 10, 10], 0.4, 2)])
    found = mistakes.find(data, rows)
    assert not found.confusions
    assert [f.row["category_id"] for f in found.false_positives] == [1]


def test_a_crowd_is_no_mistake() -> None:
    data, rows = tiny(
        [([55, 55, 10, 10], 0.9, 1), ([0, 0, 10, 10], 0.8, 1), ([20, 20, 10, 10], 0.7, 2)], crowd=True
    )
    found = mistakes.find(data, rows)
    assert not found.false_positives
    assert not found.misses
    assert found.matrix.tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 0]]


def test_thumbnails_stay_inside() -> None:
    image = np.zeros((40, 300, 3), np.uint8)
    for box in ([-5.0, -5.0, 400.0, 90.0], [299.0, 39.0, 1.0, 1.0], [0.0, 0.0, 0.0, 0.0]):
        assert pictures.around(image, box, None).startswith("data:image/jpeg;base64,")
