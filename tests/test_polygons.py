"""Masks as polygons: exact before they are simplified, and near afterwards."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from visioncli.polygons import multipolygon, polygons
from visioncli.results import Mask

masks = arrays.arrays(np.bool_, st.tuples(st.integers(1, 9), st.integers(1, 9)))


def filled(rings: list[np.ndarray], shape: tuple[int, int]) -> np.ndarray:
    """How often each pixel's middle is inside a ring, by the even-odd rule."""
    y, x = np.mgrid[: shape[0], : shape[1]] + 0.5
    inside = np.zeros(shape, int)
    for ring in rings:
        for (x1, y1), (x2, y2) in zip(ring, np.roll(ring, -1, axis=0), strict=True):
            if y1 != y2:
                crosses = (y > min(y1, y2)) & (y < max(y1, y2))
                inside += crosses & (x1 + (y - y1) * (x2 - x1) / (y2 - y1) > x)
    return inside % 2


@given(masks)
def test_polygons_are_the_mask(mask: Mask) -> None:
    found = polygons(mask)
    total = np.zeros(mask.shape, int)
    for outer, *holes in found:
        body = filled([outer, *holes], mask.shape)
        assert (body <= filled([outer], mask.shape)).all()  # holes lie inside
        pieces, _ = cv2.connectedComponents(body.astype(np.uint8), connectivity=4)
        assert pieces == 2  # one piece, and what is around it
        total += body
        for ring in (outer, *holes):
            assert len({tuple(corner) for corner in ring.tolist()}) == len(ring) >= 4
            assert (np.abs(np.diff(ring, axis=0, append=ring[:1])).min(axis=1) == 0).all()
    assert np.array_equal(total, mask)


def test_holes_and_islands() -> None:
    mask = np.zeros((20, 30), np.bool_)
    mask[2:18, 2:20] = True
    mask[5:15, 5:17] = False
    mask[8:12, 8:12] = True
    ring, island = multipolygon(mask, (100, 1000))
    assert [len(rings) for rings in (ring, island)] == [2, 1]
    assert sorted(map(tuple, ring[0][:-1])) == [(1002, 102), (1002, 118), (1020, 102), (1020, 118)]
    assert sorted(map(tuple, ring[1][:-1])) == [(1005, 105), (1005, 115), (1017, 105), (1017, 115)]
    assert ring[0][0] == ring[0][-1]


def test_pixels_that_touch_in_a_corner_are_two_polygons() -> None:
    assert multipolygon(np.eye(2, dtype=np.bool_), (0, 0)) == [
        [[[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]]],
        [[[1, 1], [2, 1], [2, 2], [1, 2], [1, 1]]],
    ]
    assert multipolygon(np.zeros((3, 3), np.bool_), (0, 0)) == []


@pytest.mark.parametrize("radius", [6, 40, 200])
def test_simplified_rings_stay_within_a_pixel(radius: int) -> None:
    side = 2 * radius + 9
    y, x = np.mgrid[:side, :side] - side // 2
    mask = (np.hypot(x, y) < radius) & (np.hypot(x - radius // 4, y) > radius // 3)
    (rings,) = multipolygon(mask, (0, 0))
    assert len(rings) == 2
    assert sum(map(len, rings)) < sum(map(len, polygons(mask)[0])) / 2
    body = filled([np.array(ring[:-1]) for ring in rings], mask.shape).astype(np.bool_)
    near = cv2.dilate(mask.astype(np.uint8), np.ones((3, 3))) - cv2.erode(
        mask.astype(np.uint8), np.ones((3, 3))
    )
    assert not ((body != mask) & (near == 0)).any()
    assert (body & mask).sum() / (body | mask).sum() > 1 - 1 / radius
