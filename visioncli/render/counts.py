"""Lines and zones with what was counted at them, drawn into a video's frames."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from visioncli.render.style import WHITE, Colour, Style
from visioncli.render.tags import blit, fitting_tag
from visioncli.results import Image
from visioncli.track.counting import Sign
from visioncli.track.shapes import Line, Point, Zone

_GROUND: Colour = (16, 18, 22)  # of tags, and of the edge around lines
_LINE: Colour = WHITE
_LIT: Colour = (255, 196, 0)  # just after something happened
_FILL = 0.10  # how much white lies over a zone: always the same, since so large an area would flash
_FRACTION = 4  # bits of a pixel that OpenCV places a line's points by


def draw_shapes(canvas: Image, signs: Sequence[Sign], style: Style) -> None:
    """The lines, each with an arrow that shows which way is in, and the zones, under everything else."""
    height, width = canvas.shape[:2]
    line = style.line_width(width, height)
    for sign in signs:
        colour = _LIT if sign.lit else _LINE
        if isinstance(sign.shape, Zone):
            _draw_zone(canvas, sign.shape, colour, line)
        else:
            _draw_line(canvas, sign.shape, colour, line, style.font_size(width, height))


def draw_counts(canvas: Image, signs: Sequence[Sign], style: Style) -> None:
    """The name and the counts of each line and zone, over everything else."""
    height, width = canvas.shape[:2]
    size = style.font_size(width, height)
    for sign in signs:
        tag = fitting_tag(sign.text, 0.0, _LIT if sign.lit else _GROUND, size, width, scores=False)
        if tag is None or tag.pixels.shape[0] > height:
            continue
        tag_height, tag_width = tag.pixels.shape[:2]
        x, y = _spot(sign.shape, tag_width, tag_height, size)
        blit(canvas, tag, min(max(x, 0), width - tag_width), min(max(y, 0), height - tag_height))


def _draw_line(canvas: Image, line: Line, colour: Colour, width: int, size: int) -> None:
    """The line with its ends marked, and in its middle an arrow to the side that is in (its right)."""
    (x1, y1), (x2, y2) = line.start, line.end
    length = math.dist(line.start, line.end)
    across = (-(y2 - y1) / length, (x2 - x1) / length)
    middle = ((x1 + x2) / 2, (y1 + y2) / 2)
    tip = (middle[0] + across[0] * 1.6 * size, middle[1] + across[1] * 1.6 * size)
    for ink, more in ((_GROUND, 2), (colour, 0)):
        _polyline(canvas, [line.start, line.end], ink, width + more)
        start, end = _fixed(middle), _fixed(tip)
        thick = width + more
        cv2.line(canvas, start, end, ink, thick, cv2.LINE_AA, _FRACTION)
        for turn in (-2.5, 2.5):
            back = (
                tip[0] + size * 0.6 * (across[0] * math.cos(turn) - across[1] * math.sin(turn)),
                tip[1] + size * 0.6 * (across[0] * math.sin(turn) + across[1] * math.cos(turn)),
            )
            cv2.line(canvas, end, _fixed(back), ink, thick, cv2.LINE_AA, _FRACTION)
        for point in (line.start, line.end):
            radius = round((width + more / 2) * (1 << _FRACTION))
            cv2.circle(canvas, _fixed(point), radius, ink, -1, cv2.LINE_AA, _FRACTION)


def _draw_zone(canvas: Image, zone: Zone, colour: Colour, width: int) -> None:
    """The outline, and a thin fill."""
    x, y, inside = _inside(zone, *canvas.shape[:2])
    if inside.size:
        part = canvas[y : y + inside.shape[0], x : x + inside.shape[1]]
        cv2.copyTo(cv2.convertScaleAbs(part, alpha=1 - _FILL, beta=255 * _FILL), inside, part)
    _polyline(canvas, [*zone.points, zone.points[0]], _GROUND, width + 2)
    _polyline(canvas, [*zone.points, zone.points[0]], colour, width)


@lru_cache(maxsize=16)
def _inside(zone: Zone, height: int, width: int) -> tuple[int, int, NDArray[np.uint8]]:
    """What of a picture is in a zone: 255 there, as the corner (x, y) and the crop around it."""
    corners = np.array([_fixed(point) for point in zone.points], np.int32).reshape(-1, 1, 2)
    inside = np.zeros((height, width), np.uint8)
    cv2.fillPoly(inside, [corners], 255, cv2.LINE_8, _FRACTION)
    x, y, w, h = cv2.boundingRect(inside)
    return x, y, inside[y : y + h, x : x + w].copy()


def _polyline(canvas: Image, points: Sequence[Point], colour: Colour, width: int) -> None:
    corners = np.array([_fixed(point) for point in points], np.int32).reshape(-1, 1, 2)
    cv2.polylines(canvas, [corners], False, colour, width, cv2.LINE_AA, _FRACTION)


def _spot(shape: Line | Zone, width: int, height: int, size: int) -> tuple[int, int]:
    """Where a tag goes: at a line's start, on the side that is not in; at a zone's top corner."""
    if isinstance(shape, Zone):
        x, y = min(shape.points, key=lambda point: (point[1], point[0]))
        return round(x), round(y) - height - size // 3
    (x1, y1), (x2, y2) = shape.start, shape.end
    length = math.dist(shape.start, shape.end)
    away = (height / 2 + size / 2 + 2, width / 2 + size / 2 + 2)
    out = ((y2 - y1) / length, -(x2 - x1) / length)
    reach = abs(out[0]) * away[1] + abs(out[1]) * away[0]
    share = min(max(width / 2, abs(y2 - y1) / length * height) / length, 0.5)
    x, y = x1 + (x2 - x1) * share, y1 + (y2 - y1) * share
    return round(x + out[0] * reach - width / 2), round(y + out[1] * reach - height / 2)


def _fixed(point: Point) -> tuple[int, int]:
    return round(point[0] * (1 << _FRACTION)), round(point[1] * (1 << _FRACTION))
