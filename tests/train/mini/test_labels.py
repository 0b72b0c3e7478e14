"""Which boxes become labels, which are ignored."""

from typing import Any

import numpy as np
import pytest

from visioncli.train.mini.labels import label, mask_target, merge

CLASSES = ["person", "car", "dog"]


def record(coverage: Any, **more: Any) -> dict[str, Any]:
    return {
        "width": 100,
        "height": 100,
        "coverage": coverage,
        "boxes": [["person", 0.1, 0.1, 0.5, 0.5]],
        **more,
    }


def teacher(*rows: tuple[float, ...]) -> Any:
    return np.array(rows, float).reshape(-1, 6)


SAME = (0, 10, 10, 50, 50, 0.9)  # the person that people labelled
OTHER = (0, 60, 60, 90, 90, 0.9)  # a person that they did not
CAR = (1, 60, 10, 90, 40, 0.8)
MAYBE = (2, 10, 60, 40, 90, 0.2)
NEVER = (2, 10, 60, 40, 90, 0.05)


@pytest.mark.parametrize(
    ("coverage", "boxes", "ignore"),
    [
        ("all", [0], [0, 1]),  # sure claims against complete labels are ignored, unsure ones are wrong
        (["person"], [0, 1], [0, 2]),
        ("none", [0, 0, 1], [2]),
    ],
)
def test_coverage(coverage: Any, boxes: list[int], ignore: list[int]) -> None:
    got, doubt = label(record(coverage), CLASSES, teacher(SAME, OTHER, CAR, MAYBE, NEVER), 0.35, 0.12)
    assert sorted(got[:, 0]) == boxes
    assert sorted(doubt[:, 0]) == ignore


def test_crowds_are_ignored_and_boxes_are_pixels() -> None:
    got, doubt = label(record("all", crowd=[["car", 0, 0, 1, 1]]), CLASSES, teacher(), 0.35, 0.12)
    assert got.tolist() == [[0, 10, 10, 50, 50]]
    assert doubt.tolist() == [[1, 0, 0, 100, 100]]


def test_merge_averages_boxes_and_agreement_raises_the_score() -> None:
    a, b = teacher((0, 0, 0, 10, 10, 0.8), (1, 50, 50, 60, 60, 0.6)), teacher((0, 1, 0, 11, 10, 0.8))
    merged = merge([a, b])
    assert merged[0] == pytest.approx([0, 0.5, 0, 10.5, 10, 0.8])
    assert merged[1] == pytest.approx([1, 50, 50, 60, 60, 0.3])  # only one of two saw it


def test_merge_of_nothing() -> None:
    assert merge([teacher(), teacher()]).shape == (0, 6)


def test_partial_masks_take_the_rest_from_the_teacher() -> None:
    human, pseudo = np.array([[1, 0, 0, 255]], np.uint8), np.array([[2, 2, 1, 1]], np.uint8)
    out = mask_target(
        {"mask": True, "mask_coverage": ["person"]}, human, pseudo, ["background", "person", "dog"]
    )
    assert out.tolist() == [[1, 2, 0, 255]]
    assert mask_target({}, human, pseudo, []) is pseudo
