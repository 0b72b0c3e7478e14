"""Boxes with label tags, drawn in place on the touched pixels only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from visioncli.render.style import Colour, Style, class_colour, text_colour
from visioncli.render.text import fit, text_bitmap
from visioncli.results import Detections, Image

# x1, y1, x2, y2 in whole pixels, x2 and y2 exclusive.
Rect = tuple[int, int, int, int]
Tag = tuple[NDArray[np.uint8], NDArray[np.uint8]]

_HALO = 0.55  # how much of the picture's brightness is left in the thin dark edge around lines


def draw_boxes(canvas: Image, detections: Detections, names: Sequence[str], style: Style) -> None:
    """Draw every object into `canvas` (H, W, 3), the best on top."""
    height, width = canvas.shape[:2]
    line = style.line_width(width, height)
    rects = [_outline(box, width, height) for box in detections.boxes.tolist()]
    classes = detections.classes.tolist()
    for rect, index in zip(reversed(rects), reversed(classes), strict=True):
        _draw_rectangle(canvas, rect, line, class_colour(index))
    if not style.labels:
        return
    size = style.font_size(width, height)
    placed: list[Rect] = []
    blits: list[tuple[Tag, int, int]] = []
    for rect, index, score in zip(rects, classes, detections.scores.tolist(), strict=True):
        tag = _fitting_tag(names[index], score, class_colour(index), size, width, style.scores)
        if tag is None or tag[0].shape[0] > height:
            continue
        tag_height, tag_width = tag[0].shape[:2]
        spot = _place(rect, tag_width, tag_height, width, height, line, placed)
        placed.append(spot)
        blits.append((tag, spot[0], spot[1]))
    for tag, x, y in reversed(blits):
        _blit(canvas, tag, x, y)


def _outline(box: Sequence[float], width: int, height: int) -> Rect:
    """The box in whole pixels inside the frame, at least one pixel in each direction."""
    x1, y1, x2, y2 = box
    left = min(max(round(x1), 0), width - 1)
    top = min(max(round(y1), 0), height - 1)
    return left, top, max(min(round(x2), width), left + 1), max(min(round(y2), height), top + 1)


def _draw_rectangle(canvas: Image, rect: Rect, line: int, colour: Colour) -> None:
    """The line, centred on the box's edge; thin dark edges on both sides set it off light grounds."""
    x1, y1, x2, y2 = rect
    outer = line // 2
    inner = line - outer
    if line > 1:
        halo = max(1, line // 4)
        _frame(
            canvas, (x1 - outer - halo, y1 - outer - halo, x2 + outer + halo, y2 + outer + halo), halo, None
        )
        _frame(canvas, (x1 + inner, y1 + inner, x2 - inner, y2 - inner), halo, None)
    _frame(canvas, (x1 - outer, y1 - outer, x2 + outer, y2 + outer), line, colour)


def _frame(canvas: Image, rect: Rect, thickness: int, colour: Colour | None) -> None:
    """A rectangle's border, `thickness` px inwards from `rect`, in `colour` or (None) darkened."""
    height, width = canvas.shape[:2]
    x1, y1, x2, y2 = rect
    if x2 <= x1 or y2 <= y1:
        return
    # Where the border is thicker than the rectangle, its strips must not leave it.
    across, down = min(thickness, x2 - x1), min(thickness, y2 - y1)
    strips = (
        (x1, y1, x2, y1 + down),
        (x1, max(y2 - down, y1 + down), x2, y2),
        (x1, y1 + down, x1 + across, y2 - down),
        (max(x2 - across, x1 + across), y1 + down, x2, y2 - down),
    )
    for left, top, right, bottom in strips:
        left, top, right, bottom = max(left, 0), max(top, 0), min(right, width), min(bottom, height)
        if left >= right or top >= bottom:
            continue
        part = canvas[top:bottom, left:right]
        if colour is None:
            cv2.convertScaleAbs(part, dst=part, alpha=_HALO)
        else:
            part[:] = colour


def _fitting_tag(name: str, score: float, colour: Colour, size: int, width: int, scores: bool) -> Tag | None:
    """The tag for an object, without its score or shortened where the picture is too narrow for all of it."""
    full = f"{name} {score:.2f}" if scores else name
    tag = _tag(full, size, colour)
    if tag[0].shape[1] <= width:
        return tag
    short = fit(name, size, width - 2 * _padding(size))
    return _tag(short, size, colour) if short else None


def _padding(size: int) -> int:
    """The px between a tag's edge and its text, left and right."""
    return max(2, round(size * 0.32))


@lru_cache(maxsize=1024)
def _tag(text: str, size: int, colour: Colour) -> Tag:
    """A tag as (h, w, 3) uint8 RGB and its (h, w, 3) uint8 opacity (rounded corners)."""
    bitmap = text_bitmap(text, size)
    pad = _padding(size)
    height, width = bitmap.shape[0] + 2 * max(0, size // 16), bitmap.shape[1] + 2 * pad
    alpha = np.zeros((height, width, 1), np.float32)
    top = (height - bitmap.shape[0]) // 2
    alpha[top : top + bitmap.shape[0], pad : pad + bitmap.shape[1], 0] = bitmap.astype(np.float32) / 255
    ground, ink = np.array(colour, np.float32), np.array(text_colour(colour), np.float32)
    pixels = np.round(ground * (1 - alpha) + ink * alpha).astype(np.uint8)
    opacity = np.repeat(rounded(width, height, max(1.0, size * 0.16))[..., None], 3, axis=2)
    return pixels, opacity


@lru_cache(maxsize=1024)
def rounded(width: int, height: int, radius: float) -> NDArray[np.uint8]:
    """An anti-aliased rectangle with round corners as (h, w) uint8 coverage."""
    x = np.abs(np.arange(width) + 0.5 - width / 2) - (width / 2 - radius)
    y = np.abs(np.arange(height) + 0.5 - height / 2) - (height / 2 - radius)
    distance = np.hypot(np.maximum(x, 0)[None, :], np.maximum(y, 0)[:, None]) - radius
    return np.asarray(np.round(255 * np.clip(0.5 - distance, 0, 1)), np.uint8)


def _blit(canvas: Image, tag: Tag, x: int, y: int) -> None:
    """Put a tag into the picture, blended by its opacity."""
    pixels, opacity = tag
    height, width = pixels.shape[:2]
    part = canvas[y : y + height, x : x + width]
    mixed = cv2.multiply(part, 255 - opacity, scale=1 / 255)
    cv2.add(mixed, cv2.multiply(pixels, opacity, scale=1 / 255), dst=part)


def _place(
    rect: Rect, tag_width: int, tag_height: int, width: int, height: int, line: int, placed: Sequence[Rect]
) -> Rect:
    """Where a tag goes: the first spot at its box that covers no other, else the one that covers least."""
    best: Rect | None = None
    least = -1
    for x, y in _spots(rect, tag_width, tag_height, height, line):
        x = min(max(x, 0), width - tag_width)
        y = min(max(y, 0), height - tag_height)
        spot = (x, y, x + tag_width, y + tag_height)
        covered = sum(_overlap(spot, other) for other in placed)
        if covered == 0:
            return spot
        if best is None or covered < least:
            best, least = spot, covered
    assert best is not None  # _spots gives at least one
    return best


def _spots(rect: Rect, tag_width: int, tag_height: int, height: int, line: int) -> Iterator[tuple[int, int]]:
    """The spots for a tag by preference: on the box, in its top corner, at its right end, below it."""
    x1, y1, x2, y2 = rect
    left, right = x1 - line // 2, x2 + line // 2 - tag_width
    above, inside, below = y1 - line // 2 - tag_height, y1 - line // 2, y2 + line // 2
    if above >= 0:
        yield left, above
    yield left, inside
    if above >= 0:
        yield right, above
    yield right, inside
    if below + tag_height <= height:
        yield left, below
        yield right, below
    yield left, y2 + line // 2 - tag_height


def _overlap(a: Rect, b: Rect) -> int:
    """The px that two rectangles share."""
    across = min(a[2], b[2]) - max(a[0], b[0])
    down = min(a[3], b[3]) - max(a[1], b[1])
    return across * down if across > 0 and down > 0 else 0
