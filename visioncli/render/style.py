"""What drawings look like: colours by class, sizes by picture."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from visioncli.results import Detections

Colour = tuple[int, int, int]

WHITE: Colour = (255, 255, 255)
BLACK: Colour = (0, 0, 0)


@dataclass(frozen=True, slots=True)
class Style:
    """How to draw. `line` (px) and `font` (px) None scale with the picture; `alpha` fills masks, 0 to 1."""

    line: int | None = None
    font: int | None = None
    labels: bool = True
    scores: bool = True
    alpha: float = 0.4

    def line_width(self, width: int, height: int) -> int:
        """The width of a box's line in px: 1 on 100×100 px, 3 on 720p, 8 on 12 megapixels."""
        return max(1, self.line or round(1.0 + 0.0020 * extent(width, height)))

    def font_size(self, width: int, height: int) -> int:
        """The height of the text's em in px: 9 on 100×100 px, 18 on 720p, 44 on 12 megapixels."""
        return max(8, self.font or round(7.5 + 0.0105 * extent(width, height)))


def extent(width: int, height: int) -> float:
    """One length for a picture: the geometric mean of its sides, less for very long ones."""
    short, long = sorted((width, height))
    return math.sqrt(short * min(long, 3 * short))


# The lightness of successive classes (OKLCH, 0..1): neighbours in index differ in it and not in hue alone.
_LIGHTNESS = (0.72, 0.80, 0.64, 0.86, 0.58)
# Yellows darker than this are olive and brown, which look dirty on photographs.
_YELLOW_HUES, _YELLOW_LIGHTNESS = (60.0, 125.0), 0.78
_GOLDEN_ANGLE = 180 * (3 - math.sqrt(5))
_FIRST_HUE = 145.0  # class 0, a person in most data sets, is green: seldom the colour of skin, sky or road


@lru_cache(maxsize=4096)
def class_colour(index: int) -> Colour:
    """The RGB colour of class `index`: stable, bright, and far from its neighbours' in hue and lightness.

    Hues step by the golden angle in OKLCH; the chroma is the largest that sRGB can show, up to 0.19.
    """
    degrees = (_FIRST_HUE + index * _GOLDEN_ANGLE) % 360
    lightness = _LIGHTNESS[index % len(_LIGHTNESS)]
    if _YELLOW_HUES[0] < degrees < _YELLOW_HUES[1]:
        lightness = max(lightness, _YELLOW_LIGHTNESS)
    hue = math.radians(degrees)
    for chroma in (c / 100 for c in range(19, -1, -1)):
        linear = _oklab_to_linear(lightness, chroma * math.cos(hue), chroma * math.sin(hue))
        if all(-1e-4 <= v <= 1 + 1e-4 for v in linear):
            break
    r, g, b = (_encode_srgb(v) for v in linear)
    return r, g, b


def object_colours(detections: Detections) -> list[Colour]:
    """A colour for each object: by its id where it is tracked, else by its class."""
    keys = detections.classes if detections.ids is None else detections.ids
    return [class_colour(key) for key in keys.tolist()]


def text_colour(background: Colour) -> Colour:
    """Black or white, whichever has the higher contrast to `background` (as WCAG 2.2 defines it)."""
    luminance = relative_luminance(background)
    white, black = 1.05 / (luminance + 0.05), (luminance + 0.05) / 0.05
    return WHITE if white >= black else BLACK


def relative_luminance(colour: Colour) -> float:
    """Relative luminance 0..1 of an sRGB colour (WCAG 2.2)."""
    r, g, b = (_decode_srgb(v) for v in colour)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def _oklab_to_linear(lightness: float, a: float, b: float) -> tuple[float, float, float]:
    """OKLab to linear sRGB (Björn Ottosson, https://bottosson.github.io/posts/oklab/)."""
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    medium = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    return (
        4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short,
        -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short,
        -0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short,
    )


def _encode_srgb(linear: float) -> int:
    linear = min(1.0, max(0.0, linear))
    value = 12.92 * linear if linear <= 0.0031308 else 1.055 * linear ** (1 / 2.4) - 0.055
    return round(255 * value)


def _decode_srgb(value: int) -> float:
    v = value / 255
    return v / 12.92 if v <= 0.04045 else float(((v + 0.055) / 1.055) ** 2.4)
