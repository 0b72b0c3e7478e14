"""Masks and maps at the picture's resolution, from a network's small ones: in numpy, block by block.

Bilinear interpolation along an axis is a matrix of two weights a row, so one step after another (the
network's own upsampling, its padding cut off, the way back to the picture) is one matrix too. A small map
goes through two matrix products, and only where somebody looks.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from visioncli.models.geometry import taps
from visioncli.models.letterbox import Letterbox
from visioncli.results import Floats, Mask

BLOCK = 1 << 18  # pixels at a time: a megabyte of floats, which stays in a core's cache


def identity(size: int) -> Floats:
    """The (size, size) matrix of an axis that is as it is."""
    return np.eye(size, dtype=np.float32)


def stretch(axis: Floats, out: int) -> Floats:
    """(size, n) to (out, n): what `axis` gives, stretched to `out` pixels.

    As torch's bilinear `interpolate(align_corners=False)`.
    """
    low, high, weight = taps(out, len(axis))
    result: Floats = axis[low] * (np.float32(1) - weight)[:, None] + axis[high] * weight[:, None]
    return result


@functools.lru_cache(maxsize=4)  # a video's frames have the same ones
def through(size: int, *steps: int) -> Floats:
    """The (last, size) matrix of an axis that is stretched to each of `steps`, one after the other."""
    axis = identity(size)
    for out in steps:
        axis = stretch(axis, out)
    return axis


@functools.lru_cache(maxsize=2)
def to_picture(fit: Letterbox, size: tuple[int, int], factor: int) -> tuple[Floats, Floats]:
    """The matrices of rows (H, h) and columns (W, w) from a letterboxed map of `size` to the picture.

    The map is upsampled by `factor`, its padding cut off there, and the rest stretched to the picture.
    """
    axes = []
    for axis in (0, 1):
        fine = stretch(identity(size[axis]), size[axis] * factor)
        scale = len(fine) / fit.shape[axis]
        first, length = round((fit.top, fit.left)[axis] * scale), round(fit.inner[axis] * scale)
        axes.append(stretch(fine[first : first + length], (fit.height, fit.width)[axis]))
    return axes[0], axes[1]


def above(plane: Floats, rows: Floats, columns: Floats, threshold: float) -> Mask:
    """(h, w) bool: where `plane` (m, n), through `rows` (h, m) and `columns` (w, n), is above `threshold`."""
    out = np.empty((len(rows), len(columns)), np.bool_)
    across = _band(columns)
    lines = plane[:, across] @ columns[:, across].T
    for block, down in _blocks(rows, len(columns)):
        np.greater(rows[block, down] @ lines[down], threshold, out=out[block])
    return out


def largest(planes: Floats, rows: Floats, columns: Floats) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """(h, w): which of the planes (C, m, n) is the largest at each pixel; equals go to the first.

    uint8 up to 255 planes, else uint16: the largest value of either is left for "none". Weights are positive:
    a plane that is nowhere above the first before is nowhere above it after, and is left out.
    """
    dtype = np.uint8 if len(planes) <= np.iinfo(np.uint8).max else np.uint16
    out = np.zeros((len(rows), len(columns)), dtype)
    there = [0, *np.flatnonzero((planes > planes[0]).any(axis=(1, 2))).tolist()]
    lines = planes[there] @ columns.T
    for block, down in _blocks(rows, len(columns)):
        weights = rows[block, down]
        best = weights @ lines[0, down]
        for c, line in zip(there[1:], lines[1:], strict=True):
            values = weights @ line[down]
            np.copyto(out[block], dtype(c), where=values > best)
            np.maximum(best, values, out=best)
    return out


def _band(axis: Floats) -> slice:
    """The columns of (h, m) that have any weight."""
    used = np.flatnonzero(axis.any(axis=0))
    return slice(int(used[0]), int(used[-1]) + 1) if len(used) else slice(0, 0)


def _blocks(rows: Floats, width: int) -> Iterator[tuple[slice, slice]]:
    """Rows a block, with the rows of the small map that they look at."""
    step = max(BLOCK // max(width, 1), 1)
    for start in range(0, len(rows), step):
        block = slice(start, min(start + step, len(rows)))
        yield block, _band(rows[block])
