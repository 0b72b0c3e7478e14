"""COCO's compressed run lengths: masks as short strings, bit for bit what `pycocotools.mask` writes.

A mask is read column after column; its runs of 0 and 1 alternate, beginning with 0 (of length 0 where the
first pixel is set). From the fourth on a run is written as its difference to the one two before it, in groups
of five bits, lowest first, each a character from "0" on: bit 5 says that more follow.
(The format of the COCO API's `maskApi.c`, https://github.com/cocodataset/cocoapi.)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from visioncli.errors import InputError
from visioncli.results import Ints, Mask, Masks

_FIRST = 48  # "0", the character of an empty group
_MORE = 0x20
_LONGEST = 13  # groups that a 64-bit number can need


def encode(masks: Masks) -> list[dict[str, Any]]:
    """Each mask as `{"size": [height, width], "counts": …}`, at the picture's size."""
    size = list(masks.size)
    return [
        {"size": size, "counts": to_string(crop_runs(crop, corner, masks.size))}
        for crop, corner in zip(masks.crops, masks.corners.tolist(), strict=True)
    ]


def decode(rle: Mapping[str, Any]) -> Mask:
    """The (height, width) bool mask of `{"size", "counts"}`; `counts` compressed or a list of runs.

    Raises InputError for runs that do not fill the size.
    """
    height, width = rle["size"]
    runs = _runs_of(rle["counts"])
    if (runs < 0).any() or runs.sum() != height * width:
        raise InputError(f"a mask of {height} × {width} px has runs that do not fill it", kind="decode")
    pixels = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    return np.ascontiguousarray(pixels.reshape(width, height).T)


def masks_of(rles: Sequence[Mapping[str, Any]], size: tuple[int, int]) -> Masks:
    """The masks of one picture of `size` (height, width), each cropped to its object. Errors as `decode`."""
    for rle in rles:
        if tuple(rle["size"]) != size:
            raise InputError(
                f"a mask of {rle['size']} px in a picture of {list(size)} px (height, width)", kind="decode"
            )
    return Masks.of(size, ((0, 0, decode(rle)) for rle in rles))


def crop_runs(crop: Mask, corner: Sequence[int], size: tuple[int, int]) -> Ints:
    """The runs of a mask of `size` (height, width): `crop` with its top left at `corner`, False around it."""
    (top, left), (rows, columns) = corner, crop.shape
    height, width = size
    # A row of False under the crop ends each column's last run; then the steps are the runs' ends.
    lines = np.zeros((columns, rows + 1), np.int8)
    lines[:, :rows] = crop.T
    steps = np.flatnonzero(np.diff(lines.reshape(-1), prepend=np.int8(0)))
    column, row = np.divmod(steps, rows + 1)
    ends = (left + column) * height + top + row
    # Of a mask as high as the picture, a run may go on at the top of the next column: there is no step.
    inside = ends[1:-1].reshape(-1, 2)
    parted = np.repeat(inside[:, 0] != inside[:, 1], 2)
    if not parted.all():
        ends = np.concatenate((ends[:1], ends[1:-1][parted], ends[-1:]))
    runs = np.diff(ends, prepend=0, append=height * width)
    return runs if runs[-1] or len(runs) == 1 else runs[:-1]


def to_string(runs: Ints) -> str:
    """Runs as COCO's characters."""
    left = runs.astype(np.int64)
    left[3:] -= runs[1:-2]
    groups = np.zeros((len(left), _LONGEST), np.uint8)
    used = np.zeros((len(left), _LONGEST), np.bool_)
    at = np.arange(len(left))
    for i in range(_LONGEST):
        group = left & 0x1F
        left = left >> 5
        # Done when only the sign is left, and the group's highest bit says that sign.
        more = left != np.where(group & 0x10, -1, 0)
        groups[at, i] = group + np.where(more, _MORE, 0) + _FIRST
        used[at, i] = True
        at, left = at[more], left[more]
        if not len(at):
            break
    return groups[used].tobytes().decode("ascii")


def _runs_of(counts: str | bytes | Sequence[int]) -> Ints:
    if not isinstance(counts, str | bytes):
        return np.array(counts, np.int64)
    raw = counts.encode("utf-8") if isinstance(counts, str) else counts
    groups = np.frombuffer(raw, np.uint8).astype(np.int64) - _FIRST
    if not len(groups) or (groups < 0).any() or (groups > 0x3F).any() or groups[-1] & _MORE:
        raise InputError("the run lengths of a mask are damaged", kind="decode")
    last = groups & _MORE == 0
    starts = np.concatenate(([0], np.flatnonzero(last)[:-1] + 1))
    shifts = 5 * (np.arange(len(groups)) - np.repeat(starts, np.diff(starts, append=len(groups))))
    if shifts.max() > 5 * (_LONGEST - 1):
        raise InputError("the run lengths of a mask are damaged", kind="decode")
    runs = np.add.reduceat((groups & 0x1F) << shifts, starts)
    # The last group's highest bit is the sign.
    negative = groups[last] & 0x10 != 0
    runs[negative] -= 1 << (shifts[last][negative] + 5)
    for first in (1, 2):
        runs[first::2] = np.cumsum(runs[first::2])
    return runs
