"""Masks as polygons with holes, along the edges of their pixels."""

from __future__ import annotations

from collections import defaultdict

import cv2
import numpy as np
from numpy.typing import NDArray

from visioncli.results import Mask

Ring = NDArray[np.int32]  # (N, 2) corners x, y of pixels, not closed
Polygon = list[Ring]  # the outer ring, clockwise on the screen, then its holes, the other way round

_TOLERANCE = 1.0  # px: no step of a straight digital edge is farther from it than that


def multipolygon(mask: Mask, corner: tuple[int, int]) -> list[list[list[list[int]]]]:
    """A mask as the `coordinates` of a GeoJSON MultiPolygon (RFC 7946), closed rings of `[x, y]` in px.

    `mask` is the crop at `corner` (top, left). Points are corners of pixels; those that lie within 1 px of
    the line between their neighbours are left out.
    """
    offset = np.array([corner[1], corner[0]], np.int32)
    return [[_closed(_simplified(ring) + offset) for ring in polygon] for polygon in polygons(mask)]


def polygons(mask: Mask) -> list[Polygon]:
    """A mask exactly: one polygon for each piece whose pixels share edges, in the crop's own px."""
    if not mask.any():
        return []
    pieces = cv2.connectedComponents(mask.astype(np.uint8), connectivity=4)[1]
    outer: dict[int, Ring] = {}
    holes: defaultdict[int, list[Ring]] = defaultdict(list)
    for ring in _rings(mask):
        (x1, y1), (x2, _) = ring[0].tolist(), ring[1].tolist()
        piece = int(pieces[y1, x1] if x2 > x1 else pieces[y1 - 1, x1 - 1])  # the pixel on its right hand
        for part in _simple(ring):
            if _area(part) > 0:
                outer[piece] = part
            else:
                holes[piece].append(part)
    return [[outer[piece], *holes[piece]] for piece in sorted(outer)]


def _rings(mask: Mask) -> list[Ring]:
    """All borders, each with the mask on the right hand of who walks along it; the first step is across."""
    padded = np.pad(mask, 1).astype(np.int8)
    across = np.diff(padded, axis=0)[:, 1:-1]  # 1: the mask is below, one walks to the right; -1: to the left
    down = -np.diff(padded, axis=1)[1:-1].T  # 1: the mask is on the left, one walks down; -1: up
    row, first, last, right = _runs(across)
    column, top, bottom, downwards = _runs(down)
    # Corners as single numbers. Where two pixels meet in a corner only, two walks pass through it: each turns
    # right, from right to down, from left to up, from down to left, from up to right, and the pixels part.
    size = mask.shape[1] + 1
    across_from, across_to = (
        row * size + np.where(right, first, last),
        row * size + np.where(right, last, first),
    )
    down_from = np.where(downwards, top, bottom) * size + column
    down_to = np.where(downwards, bottom, top) * size + column
    turn_down = np.empty(len(row), np.int64)
    turn_down[np.lexsort((~right, across_to))] = np.lexsort((~downwards, down_from))
    turn_across = np.empty(len(column), np.int64)
    turn_across[np.lexsort((~downwards, down_to))] = np.lexsort((right, across_from))
    following = turn_across[turn_down].tolist()
    rings: list[Ring] = []
    seen = [False] * len(following)
    for start in range(len(following)):
        walk: list[int] = []
        step = start
        while not seen[step]:
            seen[step] = True
            walk.append(step)
            step = following[step]
        if walk:
            corners = np.stack([across_from[walk], across_to[walk]], axis=1).reshape(-1)
            rings.append(np.stack([corners % size, corners // size], axis=1).astype(np.int32))
    return rings


def _runs(edges: NDArray[np.int8]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], Mask]:
    """Runs of equal numbers other than 0 along the rows: row, first, one past the last, whether positive."""
    padded = np.pad(edges, ((0, 0), (1, 1)))
    changes = padded[:, 1:] != padded[:, :-1]
    row, first = np.nonzero(changes & (padded[:, 1:] != 0))
    last = np.nonzero(changes & (padded[:, :-1] != 0))[1]
    return row, first, last, edges[row, first] > 0


def _simple(ring: Ring) -> list[Ring]:
    """A ring cut where it passes a corner twice, into rings that do not."""
    corners = [(x, y) for x, y in ring.tolist()]
    if len(set(corners)) == len(corners):
        return [ring]
    parts: list[Ring] = []
    path: dict[tuple[int, int], None] = {}  # the corners since the last cut, in order
    for corner in corners:
        if corner in path:
            loop = [corner]
            while (last := path.popitem()[0]) != corner:
                loop.append(last)
            parts.append(np.array(loop[:1] + loop[:0:-1], np.int32))
        path[corner] = None
    parts.append(np.array(list(path), np.int32))
    return parts


def _area(ring: Ring) -> float:
    """The area inside, positive where it is walked clockwise on the screen."""
    x, y = ring.astype(np.int64).T
    return float(np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y)) / 2


def _simplified(ring: Ring) -> Ring:
    fewer = cv2.approxPolyDP(ring.reshape(-1, 1, 2), _TOLERANCE, True).reshape(-1, 2)
    return np.asarray(fewer if len(fewer) > 2 else ring, np.int32)


def _closed(ring: Ring) -> list[list[int]]:
    points: list[list[int]] = ring.tolist()
    return [*points, points[0]]
