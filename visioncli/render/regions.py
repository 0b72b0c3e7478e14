"""Semantic maps: each class in a translucent colour with an outline, and a legend."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from visioncli.render.legend import draw_legend
from visioncli.render.style import Style, class_colour
from visioncli.results import Classes, Image, Regions

_STRIP = 1 << 20  # pixels that are worked on at a time: memory stays small on large pictures
_SMOOTH = 0.6  # px, standard deviation: takes the steps of whole pixels out of the edges


def draw_regions(canvas: Image, regions: Regions, names: Sequence[str], style: Style) -> None:
    """Draw a map into `canvas` (H, W, 3): all of its classes but the background."""
    height, width = canvas.shape[:2]
    shown = regions.foreground(names)
    line = style.line_width(width, height)
    values = np.iinfo(regions.map.dtype).max + 1  # also the one that stands for no class
    colours = np.zeros((values, 3), np.uint8)
    weights = np.zeros(values, np.float32)
    for index in shown.tolist():
        colours[index], weights[index] = class_colour(index), style.alpha
    # Strips overlap by what an edge in one of them can change in the next.
    margin = math.ceil(line + 3 * _SMOOTH) + 2
    step = max(1, _STRIP // width)
    original = canvas.copy() if height > step else canvas
    for top in range(0, height, step):
        y1, y2 = max(top - margin, 0), min(top + step + margin, height)
        painted = _painted(original[y1:y2], regions.map[y1:y2], colours, weights, line)
        end = min(top + step, height)
        canvas[top:end] = painted[top - y1 : end - y1]
    pixels = regions.map.size
    areas = dict(zip(regions.classes.tolist(), regions.areas.tolist(), strict=True))
    shares = np.array([areas[c] / pixels for c in shown.tolist()], np.float32)
    draw_legend(canvas, Classes(shown, shares), names, style, busy=weights[regions.map] > 0)


def _painted(
    part: Image,
    classes: NDArray[np.uint8] | NDArray[np.uint16],
    colours: NDArray[np.uint8],
    weights: NDArray[np.float32],
    line: float,
) -> Image:
    """A strip with its classes in colour, `line` px along their edges stronger."""
    same = np.ones(classes.shape, np.uint8)  # 0 where a neighbour is of another class
    across, down = classes[:, 1:] != classes[:, :-1], classes[1:] != classes[:-1]
    same[:, 1:][across] = 0
    same[:, :-1][across] = 0
    same[1:][down] = 0
    same[:-1][down] = 0
    distance = cv2.distanceTransform(same, cv2.DIST_L2, 5)
    weight = weights[classes]
    weight = np.where(weight > 0, np.maximum(weight, np.clip(line - distance, 0, 1)), 0).astype(np.float32)
    ground = colours[classes].astype(np.float32) * weight[..., None]
    weight = cv2.GaussianBlur(weight, (0, 0), _SMOOTH)
    ground = cv2.GaussianBlur(ground, (0, 0), _SMOOTH)
    return np.asarray(np.round(part * (1 - weight[..., None]) + ground), np.uint8)
