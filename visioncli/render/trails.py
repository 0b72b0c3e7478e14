"""Trails: where each track was in the last seconds, in its colour, fading out."""

from __future__ import annotations

from collections import deque

import cv2
import numpy as np
from numpy.typing import NDArray

from visioncli.render.canvas import Canvas
from visioncli.render.style import Colour, Style, class_colour
from visioncli.results import Result

_SHADES = 10  # steps from nothing to the newest end
_OPACITY = 0.85  # of the newest end
_FRACTION = 4  # bits of a pixel that OpenCV places a line's points by
_SMOOTHING = np.array([1, 2, 3, 2, 1]) / 9  # weights of neighbours: boxes tremble, what moves does not
_FARTHEST = 0.25  # of the picture's diagonal: a longer step is a jump, not a movement

# Seconds, x and y (px).
_Spot = tuple[float, float, float]


class Trails:
    """Draws one video's trails, frame by frame in order; `seconds` is how far back they reach.

    A trail follows the middle of the lower edge of its box. It goes on fading when its track is not seen.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._size = (0, 0)
        self._spots: dict[int, deque[_Spot]] = {}

    def draw(self, canvas: Canvas, result: Result, style: Style) -> None:
        """Take in the frame's result and draw what is to be drawn over later."""
        now = result.time or 0.0
        self._take(result, now)
        line = style.line_width(result.width, result.height)
        for track, spots in self._spots.items():
            if len(spots) > 1:
                _draw(canvas, spots, now, self._seconds, class_colour(track), line)

    def _take(self, result: Result, now: float) -> None:
        found = result.detections
        if (result.width, result.height) != self._size:
            self._size = (result.width, result.height)
            self._spots.clear()
        ids = [] if found.ids is None else found.ids.tolist()
        for track, (x1, _, x2, y2) in zip(ids, found.boxes.tolist(), strict=False):
            spots = self._spots.setdefault(track, deque())
            spot = (now, (x1 + x2) / 2, y2)
            far = _FARTHEST * np.hypot(*self._size)
            if spots and np.hypot(spot[1] - spots[-1][1], spot[2] - spots[-1][2]) > far:
                spots.clear()
            spots.append(spot)
        for track, spots in list(self._spots.items()):
            while spots and now - spots[0][0] > self._seconds:
                spots.popleft()
            if not spots:
                del self._spots[track]


def _draw(canvas: Canvas, spots: deque[_Spot], now: float, seconds: float, colour: Colour, line: int) -> None:
    """One trail: its cover is drawn as a picture of its own, then mixed in."""
    xy = _smoothed(np.array([(x, y) for _, x, y in spots]))
    size = canvas.width, canvas.height
    margin = line + 2
    # To even pixels, where planes of colour have their samples.
    left, top = np.clip((np.floor(xy.min(0)).astype(int) - margin) // 2 * 2, 0, size).tolist()
    right, bottom = np.clip((np.ceil(xy.max(0)).astype(int) + margin + 1) // 2 * 2, 0, size).tolist()
    if left >= right or top >= bottom:
        return
    cover = np.zeros((bottom - top, right - left), np.uint8)
    points = np.round((xy - (left, top)) * (1 << _FRACTION)).astype(np.int32)
    ages = np.array([now - time for time, _, _ in spots])[:-1]
    shades = np.ceil((1 - ages / seconds) * _SHADES).astype(int)
    for shade in np.unique(shades[shades > 0]).tolist():
        (where,) = np.nonzero(shades == shade)
        part = points[where[0] : where[-1] + 2].reshape(-1, 1, 2)
        thickness = max(1, round(line * (0.5 + 0.5 * shade / _SHADES)))
        opacity = round(255 * _OPACITY * shade / _SHADES)
        cv2.polylines(cover, [part], False, opacity, thickness, cv2.LINE_AA, _FRACTION)
    canvas.tint(cover, colour, left, top)


def _smoothed(xy: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, 2) points without their trembling; the newest stays where it is, at its box."""
    reach = len(_SMOOTHING) // 2
    padded = np.pad(xy, ((reach, reach), (0, 0)), mode="edge")
    smooth = np.stack([np.convolve(padded[:, i], _SMOOTHING, "valid") for i in (0, 1)], axis=1)
    smooth[-1] = xy[-1]
    return smooth
