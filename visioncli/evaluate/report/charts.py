"""Drawings as SVG: curves, a heat map, bars. Their colours are the page's."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
_WIDTH, _HEIGHT = 460, 300
_LEFT, _TOP, _RIGHT, _BOTTOM = 34, 8, 10, 34
_CELL, _MARGIN, _HEAD = 27, 124, 100  # of a heat map


def _x(share: float) -> float:
    return _LEFT + share * (_WIDTH - _LEFT - _RIGHT)


def _y(share: float) -> float:
    return _TOP + (1 - share) * (_HEIGHT - _TOP - _BOTTOM)


def _axes(across: str, down: str) -> str:
    """Both from 0 to 1, with a line each quarter."""
    parts = []
    for i in range(5):
        share = i / 4
        parts.append(f'<path class="axis" d="M{_x(0):.0f} {_y(share):.1f}H{_x(1):.0f}"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{_y(share) + 4:.1f}" text-anchor="end">{share:g}</text>')
        parts.append(f'<text x="{_x(share):.1f}" y="{_y(0) + 15:.1f}" text-anchor="middle">{share:g}</text>')
    parts.append(f'<text x="{_x(1):.0f}" y="{_HEIGHT - 4}" text-anchor="end">{escape(across)}</text>')
    parts.append(f'<text x="{_x(0) + 6:.0f}" y="{_y(1) + 14:.0f}">{escape(down)}</text>')
    return "".join(parts)


def curves(named: Sequence[tuple[str, Floats]], mean: Floats, *, across: str, down: str) -> str:
    """A faint line a class, a strong one for their mean; each over equal steps from 0 to 1."""
    lines = [
        _line(values, f'class="curve" data-labels="{escape(name, quote=True)}"', name)
        for name, values in named
    ]
    lines.append(_line(mean, 'class="curve mean"', "mean"))
    return _svg(_WIDTH, _HEIGHT, f"{_axes(across, down)}<g>{''.join(lines)}</g>", f"{down} over {across}")


def _line(values: Floats, attributes: str, title: str) -> str:
    steps = np.linspace(0, 1, len(values))
    points = " ".join(f"{_x(s):.1f},{_y(float(v)):.1f}" for s, v in zip(steps, values, strict=True))
    return f'<polyline {attributes} points="{points}"><title>{escape(title)}</title></polyline>'


def reliability(bins: Sequence[tuple[int, float, float]]) -> str:
    """The share of right answers in each bin of the score, beside what the score promises."""
    most = max((n for n, _, _ in bins), default=0) or 1
    width = 1 / len(bins)
    parts = [_axes("score of the best label", "share right")]
    for i, (n, score, right) in enumerate(bins):
        if not n:
            continue
        left, right_edge = _x(i * width) + 1, _x((i + 1) * width) - 1
        size = f'x="{left:.1f}" width="{right_edge - left:.1f}"'
        parts.append(
            f'<rect class="column" {size} y="{_y(right):.1f}" height="{_y(0) - _y(right):.1f}" '
            f'opacity="{0.35 + 0.65 * n / most:.2f}"><title>{n} pictures, mean score {score:.2f}, '
            f"{right:.2f} right</title></rect>"
        )
    parts.append(f'<path class="ideal" d="M{_x(0):.1f} {_y(0):.1f}L{_x(1):.1f} {_y(1):.1f}"/>')
    return _svg(_WIDTH, _HEIGHT, "".join(parts), "how often a score is right")


def heat_map(
    rows: Sequence[str], columns: Sequence[str], counts: NDArray[np.int64], *, shares: bool = False
) -> str:
    """A table of counts, or with `shares` per cent of the row, coloured by those; the diagonal is right."""
    width, height = _MARGIN + _CELL * len(columns) + 40, _HEAD + _CELL * len(rows) + 6
    parts = []
    for j, name in enumerate(columns):
        x = _MARGIN + _CELL * j + _CELL / 2 + 4
        turned = f'transform="translate({x:.0f} {_HEAD - 6}) rotate(-50)"'
        parts.append(f'<text class="name" {turned}>{escape(_cut(name))}</text>')
    for i, name in enumerate(rows):
        at = f'x="{_MARGIN - 6}" y="{_HEAD + _CELL * i + 17}" text-anchor="end"'
        parts.append(f'<text class="name" {at}>{escape(_cut(name))}</text>')
        total = max(int(counts[i].sum()), 1)
        for j, other in enumerate(columns):
            parts.append(_counted(i, j, int(counts[i, j]), total, (name, other), shares))
    return _svg(width, height, "".join(parts), "confusion matrix", shrink=True)


def _counted(i: int, j: int, n: int, total: int, names: tuple[str, str], shares: bool) -> str:
    """One cell; a small dash where nothing is."""
    x, y = _MARGIN + _CELL * j, _HEAD + _CELL * i
    if not n:
        return f'<path class="axis" d="M{x + 12} {y + 13}h3"/>'
    share = n / total
    kind = "cell" if i == j and names[0] == names[1] else "cell wrong"
    number = _per_cent(share) if shares else _count(n)
    return (
        f'<g data-labels="{escape(chr(10).join(names), quote=True)}">'
        f'<rect class="{kind}" x="{x + 1}" y="{y + 1}" width="{_CELL - 2}" height="{_CELL - 2}" rx="3" '
        f'fill-opacity="{0.14 + 0.86 * share**0.6:.2f}">'
        f"<title>{escape(names[0])} → {escape(names[1])}: {n:,}</title></rect>"
        f'<text class="count{" on" if share > 0.4 else ""}" x="{x + _CELL / 2}" y="{y + 17}">'
        f"{number}</text></g>"
    )


def bars(named: Sequence[tuple[str, float]]) -> str:
    """A bar a class, 0 to 1."""
    row, left, width = 20, 130, 900
    parts = []
    for i, (name, value) in enumerate(named):
        y = row * i
        length = (width - left - 50) * value
        parts.append(
            f'<g data-labels="{escape(name, quote=True)}">'
            f'<text class="name" x="{left - 8}" y="{y + 14}" text-anchor="end">{escape(_cut(name))}</text>'
            f'<rect class="column" x="{left}" y="{y + 3}" width="{length:.1f}" height="{row - 7}" rx="2"/>'
            f'<text x="{left + length + 6:.1f}" y="{y + 14}">{value:.3f}</text></g>'
        )
    return _svg(width, row * len(named) + 4, "".join(parts), "bars")


def _per_cent(share: float) -> str:
    return "&lt;1" if share < 0.005 else f"{100 * share:.0f}"


def _count(n: int) -> str:
    """At most four characters."""
    if n < 1000:
        return str(n)
    return f"{n / 1000:.0f}k" if n < 1_000_000 else f"{n / 1_000_000:.0f}M"


def _cut(name: str, most: int = 18) -> str:
    return name if len(name) <= most else f"{name[: most - 1]}…"


def _svg(width: float, height: float, inside: str, title: str, *, shrink: bool = False) -> str:
    style = f' style="max-width:{width:.0f}px"' if shrink else ""
    return (
        f'<svg viewBox="0 0 {width:.0f} {height:.0f}" role="img" '
        f'aria-label="{escape(title, quote=True)}"{style}>{inside}</svg>'
    )
