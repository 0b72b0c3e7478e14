"""`nms` against `torchvision.ops`: the same indices, whatever the boxes."""

from __future__ import annotations

import time

import numpy as np
import pytest
import torch
import torchvision
from hypothesis import given, settings
from hypothesis import strategies as st

from visioncli.models.nms import nms, torchvision_batched_nms


def boxes_and_scores(
    seed: int, count: int, size: float, digits: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Random boxes, some equal, one without area; scores rounded to `digits`, so that there are ties."""
    rng = np.random.default_rng(seed)
    corner = rng.uniform(-0.1, 1, (count, 2)) * size
    sides = rng.uniform(0, 0.5, (count, 2)) * size
    boxes = np.concatenate((corner, corner + sides), axis=1).round(digits).astype(np.float32)
    if count > 3:
        boxes[rng.integers(count)] = boxes[rng.integers(count)]
        boxes[0, 2] = boxes[0, 0]
    return boxes, rng.random(count).round(digits).astype(np.float32), rng.integers(0, 4, count)


cases = st.tuples(
    st.integers(0, 2**31), st.integers(0, 400), st.sampled_from([1.0, 30.0, 640.0, 5000.0]), st.integers(1, 6)
)
thresholds = st.one_of(st.sampled_from([0.0, 0.1, 0.45, 0.5, 0.55, 0.6, 0.7, 1.0]), st.floats(0, 1))


@settings(max_examples=80, deadline=None)
@given(cases, thresholds)
def test_plain_is_torchvisions(case: tuple[int, int, float, int], iou: float) -> None:
    boxes, scores, _ = boxes_and_scores(*case)
    theirs = torchvision.ops.nms(torch.from_numpy(boxes), torch.from_numpy(scores), iou).numpy()
    np.testing.assert_array_equal(nms(boxes, scores, None, iou), theirs)


@settings(max_examples=60, deadline=None)
@given(cases, thresholds)
def test_ultralytics_offset_is_theirs(case: tuple[int, int, float, int], iou: float) -> None:
    boxes, scores, classes = boxes_and_scores(*case)
    moved = torch.from_numpy(boxes) + torch.from_numpy(classes[:, None].astype(np.float32)) * 7680
    theirs = torchvision.ops.nms(moved, torch.from_numpy(scores), iou).numpy()
    np.testing.assert_array_equal(nms(boxes, scores, classes, iou, offset=7680), theirs)


@pytest.mark.parametrize("count", [0, 1, 900, 1000, 1001, 3000])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_batched_is_torchvisions(count: int, seed: int) -> None:
    boxes, scores, classes = boxes_and_scores(seed, count, 640.0, 5)
    scores = np.unique(np.random.default_rng(seed).random(2 * count + 2).astype(np.float32))[:count]
    theirs = torchvision.ops.batched_nms(
        torch.from_numpy(boxes), torch.from_numpy(scores), torch.from_numpy(classes), 0.5
    ).numpy()
    np.testing.assert_array_equal(torchvision_batched_nms(boxes, scores, classes, 0.5), theirs)


@settings(max_examples=50, deadline=None)
@given(cases, st.integers(0, 50))
def test_limit_cuts_the_same_answer(case: tuple[int, int, float, int], limit: int) -> None:
    boxes, scores, classes = boxes_and_scores(*case)
    whole = nms(boxes, scores, classes, 0.5)
    np.testing.assert_array_equal(nms(boxes, scores, classes, 0.5, limit), whole[:limit])


def test_classes_do_not_suppress_each_other() -> None:
    boxes = np.tile(np.float32([[10, 10, 20, 20]]), (3, 1))
    scores = np.float32([0.5, 0.9, 0.7])
    assert nms(boxes, scores, np.array([0, 1, 0]), 0.5).tolist() == [1, 2]
    assert nms(boxes, scores, np.array([0, 1, 0]), 0.5, offset=7680).tolist() == [1, 2]
    assert nms(boxes, scores, None, 0.5).tolist() == [1]


def test_8400_candidates_are_quick() -> None:
    boxes, scores, classes = boxes_and_scores(5, 8400, 640.0, 6)
    classes = classes * 20
    seconds = []
    for _ in range(5):
        began = time.perf_counter()
        kept = nms(boxes, scores, classes, 0.7, 300, offset=7680)
        seconds.append(time.perf_counter() - began)
    assert len(kept) == 300
    assert min(seconds) < 0.1  # 5 to 10 ms on a quiet machine
