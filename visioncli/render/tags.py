"""Label tags: text on a rounded ground of the object's colour, and where rectangles overlap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from visioncli.render.style import Colour, text_colour
from visioncli.render.text import fit, text_bitmap
from visioncli.results import Detections, Image

# x1, y1, x2, y2 in whole pixels, x2 and y2 exclusive.
Rect = tuple[int, int, int, int]
_Plane = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Tag:
    """A tag as (h, w, 3) uint8 RGB and its (h, w, 3) uint8 opacity; h and w are even."""

    pixels: _Plane
    opacity: _Plane
    _planes: dict[bool, list[tuple[_Plane, _Plane]]] = field(default_factory=dict)

    def planes(self, bt709: bool) -> list[tuple[_Plane, _Plane]]:
        """Its Y (h, w), Cb and Cr (h/2, w/2): what each leaves of the ground (0 to 255), and what it adds."""
        if bt709 not in self._planes:
            self._planes[bt709] = self._split(bt709)
        return self._planes[bt709]

    def _split(self, bt709: bool) -> list[tuple[_Plane, _Plane]]:
        cover = self.opacity[..., 0].astype(np.float32) / 255
        height, width = cover.shape
        split = []
        for i, plane in enumerate(_ycbcr(self.pixels, bt709)):
            share, own = cover, cover * plane
            if i:
                share, own = (
                    a.reshape(height // 2, 2, width // 2, 2).mean((1, 3), np.float32) for a in (share, own)
                )
            split.append((_byte(255 * (1 - share)), _byte(own)))
        return split


def _byte(values: NDArray[np.floating[Any]]) -> _Plane:
    return np.round(values).astype(np.uint8)


def _ycbcr(rgb: NDArray[np.uint8], bt709: bool) -> list[NDArray[np.floating[Any]]]:
    """(…, 3) to its Y, Cb and Cr, limited range (ITU-R BT.601 and BT.709)."""
    red, blue = (0.2126, 0.0722) if bt709 else (0.299, 0.114)
    r, g, b = (rgb[..., i].astype(np.float32) / 255 for i in range(3))
    y = red * r + (1 - red - blue) * g + blue * b
    return [16 + 219 * y, 128 + 112 * (b - y) / (1 - blue), 128 + 112 * (r - y) / (1 - red)]


@lru_cache(maxsize=4096)
def ycbcr(colour: Colour, bt709: bool) -> tuple[int, int, int]:
    """A colour as limited-range Y, Cb and Cr."""
    y, cb, cr = (round(float(v)) for v in _ycbcr(np.array(colour, np.uint8), bt709))
    return y, cb, cr


def fitting_tag(name: str, score: float, colour: Colour, size: int, width: int, scores: bool) -> Tag | None:
    """The tag for an object, without its score or shortened where the picture is too narrow for all of it."""
    full = f"{name} {score:.2f}" if scores else name
    tag = _tag(full, size, colour)
    if tag.pixels.shape[1] <= width:
        return tag
    short = fit(name, size, width // 2 * 2 - 2 * _padding(size))
    return _tag(short, size, colour) if short else None


def object_tag(
    detections: Detections, i: int, names: Sequence[str], colour: Colour, size: int, width: int, scores: bool
) -> Tag | None:
    """The tag of object `i`: `person 0.91`; of a tracked one `#3 person`, since a score would flicker."""
    name = names[int(detections.classes[i])]
    if detections.ids is not None:
        return fitting_tag(f"#{detections.ids[i]} {name}", 0.0, colour, size, width, scores=False)
    return fitting_tag(name, float(detections.scores[i]), colour, size, width, scores)


def _padding(size: int) -> int:
    """The px between a tag's edge and its text, left and right."""
    return max(2, round(size * 0.32))


@lru_cache(maxsize=1024)
def _tag(text: str, size: int, colour: Colour) -> Tag:
    """Text on a ground with rounded corners."""
    bitmap = text_bitmap(text, size)
    pad = _padding(size)
    height, width = bitmap.shape[0] + 2 * max(0, size // 16), bitmap.shape[1] + 2 * pad
    height, width = height + height % 2, width + width % 2
    alpha = np.zeros((height, width, 1), np.float32)
    top = (height - bitmap.shape[0]) // 2
    alpha[top : top + bitmap.shape[0], pad : pad + bitmap.shape[1], 0] = bitmap.astype(np.float32) / 255
    ground, ink = np.array(colour, np.float32), np.array(text_colour(colour), np.float32)
    pixels = np.round(ground * (1 - alpha) + ink * alpha).astype(np.uint8)
    opacity = np.repeat(rounded(width, height, max(1.0, size * 0.16))[..., None], 3, axis=2)
    return Tag(pixels, opacity)


@lru_cache(maxsize=1024)
def rounded(width: int, height: int, radius: float) -> NDArray[np.uint8]:
    """An anti-aliased rectangle with round corners as (h, w) uint8 coverage."""
    x = np.abs(np.arange(width) + 0.5 - width / 2) - (width / 2 - radius)
    y = np.abs(np.arange(height) + 0.5 - height / 2) - (height / 2 - radius)
    distance = np.hypot(np.maximum(x, 0)[None, :], np.maximum(y, 0)[:, None]) - radius
    return np.asarray(np.round(255 * np.clip(0.5 - distance, 0, 1)), np.uint8)


def blit(canvas: Image, tag: Tag, x: int, y: int) -> None:
    """Put a tag into the picture, blended by its opacity."""
    height, width = tag.pixels.shape[:2]
    part = canvas[y : y + height, x : x + width]
    mixed = cv2.multiply(part, 255 - tag.opacity, scale=1 / 255)
    cv2.add(mixed, cv2.multiply(tag.pixels, tag.opacity, scale=1 / 255), dst=part)


def overlap(a: Rect, b: Rect) -> int:
    """The px that two rectangles share."""
    across = min(a[2], b[2]) - max(a[0], b[0])
    down = min(a[3], b[3]) - max(a[1], b[1])
    return across * down if across > 0 and down > 0 else 0
