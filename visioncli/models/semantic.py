"""From a network's small logits to a class for every pixel: what all semantic segmenters share."""

from __future__ import annotations

import numpy as np

from visioncli.models import Options
from visioncli.models.upsample import above, largest
from visioncli.results import Floats, Regions


def regions(logits: Floats, rows: Floats, columns: Floats, options: Options) -> Regions:
    """The class of the largest logit at each pixel of the picture.

    `logits` (C, h, w) go to the picture's pixels through `rows` (H, h) and `columns` (W, w) before they are
    compared. A single class is there where its logit is above 0. Pixels of classes that are not wanted belong
    to none.
    """
    if len(logits) == 1:
        there = above(logits[0], rows, columns, 0)
        labels = np.where(there, np.uint8(0), np.uint8(255))
    else:
        labels = largest(logits, rows, columns)
    none = np.iinfo(labels.dtype).max
    if options.classes is not None:
        kept = np.full(int(none) + 1, none, labels.dtype)
        wanted = list(options.classes)
        kept[wanted] = wanted
        labels = kept[labels]
    return Regions.of(labels)
