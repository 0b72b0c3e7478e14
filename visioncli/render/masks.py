"""Masks of objects: a translucent fill with a smooth outline, drawn in place inside each mask's own crop."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from visioncli.render.style import Colour, Style, object_colours
from visioncli.render.tags import Rect, Tag, blit, object_tag, overlap
from visioncli.results import Detections, Image, Mask, Masks

Weights = NDArray[np.float32]

_SMOOTH = 0.8  # px, standard deviation: takes the steps of whole pixels out of a mask's edge
_HALO = 0.45  # how dark the thin edge around an outline is: it sets it off grounds of its own colour
_CELL = 8  # px, side of the cells in which tags look for free space


def draw_masks(
    canvas: Image, detections: Detections, masks: Masks, names: Sequence[str], style: Style
) -> None:
    """Draw every object's mask and tag into `canvas` (H, W, 3), the best on top."""
    height, width = canvas.shape[:2]
    colours = object_colours(detections)
    line = style.line_width(width, height)
    for i in reversed(range(len(masks))):
        top, left = masks.corners[i].tolist()
        if masks.crops[i].any():
            _paint(canvas, masks.crops[i], top, left, colours[i], style.alpha, line)
    if style.labels:
        _draw_tags(canvas, detections, masks, names, colours, style)


def _paint(canvas: Image, crop: Mask, top: int, left: int, colour: Colour, alpha: float, line: float) -> None:
    """Blend one mask into the picture: its fill by `alpha`, its outline (`line` px) opaque, a dark halo."""
    height, width = canvas.shape[:2]
    halo = max(1.0, line / 3)
    margin = math.ceil(line / 2 + halo + 3 * _SMOOTH)
    x1, y1 = max(left - margin, 0), max(top - margin, 0)
    x2, y2 = min(left + crop.shape[1] + margin, width), min(top + crop.shape[0] + margin, height)
    inside = np.zeros((y2 - y1, x2 - x1), np.uint8)
    inside[top - y1 : top - y1 + crop.shape[0], left - x1 : left - x1 + crop.shape[1]] = crop
    distance = edge_distance(inside, line / 2 + halo + 2)
    stroke = np.clip(line / 2 + 0.5 - np.abs(distance), 0, 1)
    fill = np.clip(distance + 0.5, 0, 1) * alpha
    part = canvas[y1:y2, x1:x2]
    shade = np.clip(line / 2 + halo + 0.5 + np.minimum(distance, 0), 0, 1) * (distance < 0) * _HALO
    weight = np.maximum(fill, stroke)
    shaded = cv2.blendLinear(part, np.zeros_like(part), 1 - shade, shade)
    ground = np.full_like(part, colour)
    part[:] = cv2.blendLinear(shaded, ground, 1 - weight, weight)


def edge_distance(inside: NDArray[np.uint8], most: float) -> Weights:
    """The px of each pixel to the edge of a mask (0 or 1), up to `most`: positive inside, smoothed.

    The picture's own border is no edge.
    """
    within = cv2.distanceTransform(inside, cv2.DIST_L2, 5)
    without = cv2.distanceTransform(1 - inside, cv2.DIST_L2, 5)
    # From the edge between two pixels, not from the next one's middle; "far" where there is no edge at all.
    signed = np.where(inside, np.minimum(within, most) - 0.5, 0.5 - np.minimum(without, most))
    return np.asarray(cv2.GaussianBlur(signed.astype(np.float32), (0, 0), _SMOOTH), np.float32)


def _draw_tags(
    canvas: Image,
    detections: Detections,
    masks: Masks,
    names: Sequence[str],
    colours: Sequence[Colour],
    style: Style,
) -> None:
    """A tag beside each object, where it covers least of the objects and of other tags."""
    height, width = canvas.shape[:2]
    size, gap = style.font_size(width, height), style.line_width(width, height) + 1
    space = _Space(masks)
    blits: list[tuple[Tag, int, int]] = []
    for i, colour in enumerate(colours):
        tag = object_tag(detections, i, names, colour, size, width, style.scores)
        if tag is None or tag.pixels.shape[0] > height or not masks.crops[i].any():
            continue
        x, y = space.place(i, tag.pixels.shape[1], tag.pixels.shape[0], gap)
        blits.append((tag, x, y))
    for tag, x, y in reversed(blits):
        blit(canvas, tag, x, y)


class _Space:
    """What of a picture objects and tags cover, in cells of `_CELL` px."""

    def __init__(self, masks: Masks) -> None:
        self._masks = masks
        height, width = masks.size
        self._height, self._width = height, width
        shape = (math.ceil(height / _CELL), math.ceil(width / _CELL))
        taken = np.zeros(shape, np.uint8)
        for i in (i for i, crop in enumerate(masks.crops) if crop.any()):
            y, x, cells = self._cells(i)
            part = taken[y : y + cells.shape[0], x : x + cells.shape[1]]
            np.maximum(part, cells[: part.shape[0], : part.shape[1]], out=part)
        self._taken = cv2.integral(taken)
        self._placed: list[Rect] = []

    def _cells(self, i: int) -> tuple[int, int, NDArray[np.uint8]]:
        """The row, the column and the cells (0 or 1) that mask `i` covers by the half."""
        (top, left), crop = self._masks.corners[i].tolist(), self._masks.crops[i]
        y, x = top // _CELL, left // _CELL
        rows, columns = (
            math.ceil((top + crop.shape[0]) / _CELL) - y,
            math.ceil((left + crop.shape[1]) / _CELL) - x,
        )
        padded = np.zeros((rows * _CELL, columns * _CELL), np.uint8)
        padded[top - y * _CELL :, left - x * _CELL :][: crop.shape[0], : crop.shape[1]] = crop
        share = cv2.resize(padded * 255, (columns, rows), interpolation=cv2.INTER_AREA)
        return y, x, (share > 127).astype(np.uint8)

    def place(self, i: int, tag_width: int, tag_height: int, gap: int) -> tuple[int, int]:
        """The left top corner for object `i`'s tag: of its spots, the one that costs least."""
        own = self._cells(i)
        best, least = (0, 0), math.inf
        for rank, (x, y) in enumerate(self._spots(i, tag_width, tag_height, gap)):
            x = min(max(x, 0), self._width - tag_width)
            y = min(max(y, 0), self._height - tag_height)
            spot = (x, y, x + tag_width, y + tag_height)
            area = tag_width * tag_height
            on_tags = sum(overlap(spot, other) for other in self._placed) / area
            cost = 6 * on_tags + 2 * self._on(own, spot) + self._covered(spot) + 0.03 * rank
            if cost < least:
                best, least = (x, y), cost
        self._placed.append((*best, best[0] + tag_width, best[1] + tag_height))
        return best

    def _spots(self, i: int, tag_width: int, tag_height: int, gap: int) -> list[tuple[int, int]]:
        """By preference: above the object's top, in the empty corners of its box, below it, beside it."""
        (top, left), crop = self._masks.corners[i].tolist(), self._masks.crops[i]
        bottom, right = top + crop.shape[0], left + crop.shape[1]

        def middle(line: Mask) -> int:
            found = np.flatnonzero(line)
            return int(found.mean()) if len(found) else len(line) // 2

        peak, foot = left + middle(crop[0]), left + middle(crop[-1])
        lefts, rights = top + middle(crop[:, 0]), top + middle(crop[:, -1])
        above, below = top - gap - tag_height, bottom + gap
        return [
            (peak - tag_width // 2, above),
            (left, above),
            (right - tag_width, above),
            (left, top),
            (right - tag_width, top),
            (foot - tag_width // 2, below),
            (right + gap, rights - tag_height // 2),
            (left - gap - tag_width, lefts - tag_height // 2),
            (left, bottom - tag_height),
            (right - tag_width, bottom - tag_height),
        ]

    def _covered(self, spot: Rect) -> float:
        """The share of a rectangle's cells that any object covers."""
        x1, y1 = spot[0] // _CELL, spot[1] // _CELL
        x2, y2 = math.ceil(spot[2] / _CELL), math.ceil(spot[3] / _CELL)
        s = self._taken
        return float(s[y2, x2] - s[y1, x2] - s[y2, x1] + s[y1, x1]) / ((x2 - x1) * (y2 - y1))

    def _on(self, cells: tuple[int, int, NDArray[np.uint8]], spot: Rect) -> float:
        """The share of a rectangle's cells that one object covers."""
        y, x, taken = cells
        x1, y1 = spot[0] // _CELL - x, spot[1] // _CELL - y
        x2, y2 = math.ceil(spot[2] / _CELL) - x, math.ceil(spot[3] / _CELL) - y
        return float(taken[max(y1, 0) : max(y2, 0), max(x1, 0) : max(x2, 0)].sum()) / ((x2 - x1) * (y2 - y1))
