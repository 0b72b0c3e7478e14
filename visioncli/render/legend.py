"""The legend: classes with percentages, and bars or swatches of colour, on a translucent panel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from visioncli.render.style import WHITE, Colour, Style, class_colour
from visioncli.render.tags import rounded
from visioncli.render.text import fit, text_bitmap, text_width
from visioncli.results import Classes, Image

_PANEL_OPACITY = 0.66
_PANEL: Colour = (16, 18, 22)
_TRACK: Colour = (92, 96, 104)  # the empty part of a bar
_MOST_HEIGHT = 0.5  # of the picture, for the panel
_MOST_WIDTH = 0.94


@dataclass(frozen=True, slots=True)
class _Layout:
    """The panel's measures in px for one font size; a row has a `bar` under it or a `swatch` before it."""

    size: int
    pad: int
    gap: int
    text: int
    bar: int
    swatch: int
    margin: int

    @classmethod
    def of(cls, size: int, bars: bool) -> _Layout:
        return cls(
            size,
            pad=max(3, round(size * 0.55)),
            gap=max(2, round(size * (0.4 if bars else 0.2))),
            text=text_bitmap("0", size).shape[0],
            bar=max(2, round(size * 0.24)) if bars else 0,
            swatch=0 if bars else round(size * 0.8),
            margin=size // 2,
        )

    @property
    def indent(self) -> int:
        return self.swatch + self.swatch // 2

    @property
    def row(self) -> int:
        return self.text + self.bar + self.gap

    def height(self, rows: int) -> int:
        return 2 * self.pad + rows * self.row - self.gap


def draw_legend(
    canvas: Image,
    classes: Classes,
    names: Sequence[str],
    style: Style,
    *,
    busy: NDArray[np.bool_] | None = None,
) -> None:
    """Draw the legend into a corner of `canvas` (H, W, 3); fewer rows where room is short.

    The top left corner and bars for a classification; for a map, whose `busy` (H, W) pixels are not to be
    covered, the corner with the fewest of them, and swatches of colour.
    """
    height, width = canvas.shape[:2]
    if not style.labels or not len(classes):
        return
    layout, rows = _fit_rows(len(classes), width, height, style, bars=busy is None)
    if rows == 0:
        return
    labels = [names[c] for c in classes.classes[:rows].tolist()]
    scores = classes.scores[:rows].tolist()
    shares = [_percent(score) for score in scores]
    most = int(width * _MOST_WIDTH) - layout.margin - 2 * layout.pad
    figures = max(text_width(s, layout.size) for s in shares) if style.scores else 0
    if most - figures < 4 * layout.size:  # a tiny picture: the label alone
        figures = 0
    taken = layout.indent + figures + (layout.size if figures else 0)
    labels = [fit(label, layout.size, max(0, most - taken)) for label in labels]
    widest = max(text_width(label, layout.size) for label in labels)
    inner = max(min(most, 9 * layout.size) if layout.bar else 0, widest + taken)
    if inner > most or most < layout.size:
        return
    part = _corner(canvas, layout.height(rows), inner + 2 * layout.pad, layout.margin, busy)
    _shade(part, max(2.0, layout.size * 0.4))
    y = layout.pad
    for label, share, score, index in zip(labels, shares, scores, classes.classes.tolist(), strict=False):
        _write(part, label, layout.size, layout.pad + layout.indent, y, WHITE)
        if figures:
            _write(part, share, layout.size, layout.pad + inner - text_width(share, layout.size), y, WHITE)
        if layout.bar:
            _bar(part, layout.pad, y + layout.text, inner, layout.bar, score, class_colour(index))
        else:
            _swatch(
                part, layout.pad, y + (layout.text - layout.swatch) // 2, layout.swatch, class_colour(index)
            )
        y += layout.row


def _percent(share: float) -> str:
    """`85%`, `6.8%`, and `<0.1%` for what is there but rounds to nothing."""
    if 0 < share < 0.0005:
        return "<0.1%"
    return f"{100 * share:.0f}%" if share >= 0.0995 else f"{100 * share:.1f}%"


def _corner(canvas: Image, height: int, width: int, margin: int, busy: NDArray[np.bool_] | None) -> Image:
    """The part of the picture that the panel covers."""
    tops = (margin, canvas.shape[0] - margin - height)
    lefts = (margin, canvas.shape[1] - margin - width)
    spots = [(slice(y, y + height), slice(x, x + width)) for y in tops for x in lefts if y >= 0 and x >= 0]
    if busy is None or not spots:
        return canvas[margin : margin + height, margin : margin + width]
    return canvas[min(spots, key=lambda spot: np.count_nonzero(busy[spot]))]


def _fit_rows(wanted: int, width: int, height: int, style: Style, *, bars: bool) -> tuple[_Layout, int]:
    """The layout and number of rows: in the usual font, or in a smaller one to get at least 3 rows."""
    usual = style.font_size(width, height)
    rows = 0
    for size in range(usual, min(usual, 9) - 1, -1):
        layout = _Layout.of(size, bars)
        rows = min(
            wanted, int(height * _MOST_HEIGHT - layout.margin - 2 * layout.pad + layout.gap) // layout.row
        )
        if rows >= min(wanted, 3):
            return layout, rows
    if (
        rows <= 0 and layout.height(1) + layout.margin <= height
    ):  # a low picture: one row, however much it covers
        return layout, 1
    return layout, max(rows, 0)


def _shade(part: Image, radius: float) -> None:
    """Darken the panel's ground so that white text stands out on anything."""
    cover = rounded(part.shape[1], part.shape[0], radius)[..., None].astype(np.float32) * (
        _PANEL_OPACITY / 255
    )
    _mix(part, cover, _PANEL)


def _write(part: Image, text: str, size: int, x: int, y: int, colour: Colour) -> None:
    bitmap = text_bitmap(text, size)
    spot = part[y : y + bitmap.shape[0], x : x + bitmap.shape[1]]
    _mix(spot, bitmap[: spot.shape[0], : spot.shape[1], None].astype(np.float32) / 255, colour)


def _bar(part: Image, x: int, y: int, width: int, height: int, share: float, colour: Colour) -> None:
    """A bar of `share` (0..1) of `width`, its end placed to a fraction of a pixel."""
    track = rounded(width, height, height / 2)[..., None].astype(np.float32) / 255
    spot = part[y : y + height, x : x + width]
    _mix(spot, track * 0.7, _TRACK)
    filled = np.clip(share * width - np.arange(width, dtype=np.float32), 0, 1)[None, :, None]
    _mix(spot, track * filled, colour)


def _swatch(part: Image, x: int, y: int, side: int, colour: Colour) -> None:
    cover = rounded(side, side, max(1.0, side * 0.2))[..., None].astype(np.float32) / 255
    _mix(part[y : y + side, x : x + side], cover, colour)


def _mix(part: Image, alpha: NDArray[np.floating], colour: Colour) -> None:
    part[:] = np.round(part * (1 - alpha) + np.array(colour, np.float32) * alpha).astype(np.uint8)
