"""What boxes and tags are drawn on: a picture's RGB, or the planes of a video's frame."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import cv2
import numpy as np

from visioncli.render.style import Colour
from visioncli.render.tags import Rect, Tag, blit, ycbcr
from visioncli.results import Image

if TYPE_CHECKING:
    from visioncli.media.yuv import Yuv

_HALO = 0.55  # how much of the picture's brightness is left in the thin dark edge around lines
_BLACK = 16  # of limited-range YUV


class Canvas(Protocol):
    """A picture to draw on. Rectangles are not empty and lie inside it."""

    width: int
    height: int

    def fill(self, rect: Rect, colour: Colour) -> None:
        """Fill a rectangle."""

    def darken(self, rect: Rect) -> None:
        """Take brightness from a rectangle."""

    def put(self, tag: Tag, x: int, y: int) -> None:
        """A tag with its left top corner at (x, y)."""

    def tint(self, cover: Image, colour: Colour, x: int, y: int) -> None:
        """Mix a colour in by `cover` (h, w), 0 to 255; x, y, h and w are even, or h and w reach the edge."""


class RgbCanvas:
    """(H, W, 3) uint8 RGB, drawn on in place."""

    def __init__(self, image: Image) -> None:
        self._image = image
        self.height, self.width = image.shape[:2]

    def fill(self, rect: Rect, colour: Colour) -> None:
        """Every pixel."""
        x1, y1, x2, y2 = rect
        self._image[y1:y2, x1:x2] = colour

    def darken(self, rect: Rect) -> None:
        """All three channels."""
        x1, y1, x2, y2 = rect
        part = self._image[y1:y2, x1:x2]
        cv2.convertScaleAbs(part, dst=part, alpha=_HALO)

    def put(self, tag: Tag, x: int, y: int) -> None:
        """Blended by its opacity."""
        blit(self._image, tag, x, y)

    def tint(self, cover: Image, colour: Colour, x: int, y: int) -> None:
        """All three channels."""
        part = self._image[y : y + cover.shape[0], x : x + cover.shape[1]]
        mixed = cv2.cvtColor(cover, cv2.COLOR_GRAY2RGB)
        ground = np.empty_like(part)
        ground[:] = colour
        faded = cv2.multiply(part, 255 - mixed, scale=1 / 255)
        cv2.add(faded, cv2.multiply(ground, mixed, scale=1 / 255), dst=part)


class YuvCanvas:
    """A frame's planes, drawn on in place: only what is touched is looked at.

    A sample of colour serves 2 × 2 pixels: where a rectangle has two of them, it is mixed; tags lie on even
    pixels.
    """

    def __init__(self, yuv: Yuv) -> None:
        self.height, self.width = yuv.shape[:2]
        self._y, *self._colour = yuv.planes
        self._bt709 = yuv.bt709

    def fill(self, rect: Rect, colour: Colour) -> None:
        """Every pixel; samples of colour by how much of them it covers."""
        x1, y1, x2, y2 = rect
        y, *samples = ycbcr(colour, self._bt709)
        self._y[y1:y2, x1:x2] = y
        # Whole samples from (left, top), and the halves around them.
        left, top, right, bottom = (x1 + 1) // 2, (y1 + 1) // 2, x2 // 2, y2 // 2
        halves: list[tuple[slice | int, slice | int]] = [
            (slice(top - y1 % 2, bottom + y2 % 2), column)
            for column, odd in ((left - 1, x1 % 2), (right, x2 % 2))
            if odd
        ]
        halves += [(row, slice(left, right)) for row, odd in ((top - 1, y1 % 2), (bottom, y2 % 2)) if odd]
        for plane, sample in zip(self._colour, samples, strict=True):
            plane[top:bottom, left:right] = sample
            for half in halves:
                part = plane[half]
                part >>= 1
                part += sample >> 1

    def darken(self, rect: Rect) -> None:
        """The brightness only."""
        x1, y1, x2, y2 = rect
        part = self._y[y1:y2, x1:x2]
        cv2.convertScaleAbs(part, dst=part, alpha=_HALO, beta=_BLACK * (1 - _HALO))

    def put(self, tag: Tag, x: int, y: int) -> None:
        """Blended by its opacity, at even coordinates: one to the right or below, where there is room."""
        height, width = tag.pixels.shape[:2]
        x, y = min(x + x % 2, self.width - width), min(y + y % 2, self.height - height)
        parts = self._parts(x, y, width, height)
        for part, (rest, own) in zip(parts, tag.planes(self._bt709), strict=True):
            cv2.add(cv2.multiply(part, rest, scale=1 / 255), own, dst=part)

    def tint(self, cover: Image, colour: Colour, x: int, y: int) -> None:
        """The planes of colour by the mean cover of 2 × 2 pixels."""
        height, width = cover.shape
        half = cv2.resize(cover, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
        parts = self._parts(x, y, width, height)
        for part, sample, share in zip(parts, ycbcr(colour, self._bt709), (cover, half, half), strict=True):
            own = cv2.multiply(share, sample, scale=1 / 255)
            cv2.add(cv2.multiply(part, 255 - share, scale=1 / 255), own, dst=part)

    def _parts(self, x: int, y: int, width: int, height: int) -> list[Image]:
        """A rectangle of each plane; x, y, width and height are even."""
        half = slice(y // 2, (y + height) // 2), slice(x // 2, (x + width) // 2)
        return [self._y[y : y + height, x : x + width], *(plane[half] for plane in self._colour)]
