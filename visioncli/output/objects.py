"""Files beside the annotated copies: a picture's crops, cut-outs and masks."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from visioncli.media.frame import Frame, Input
from visioncli.output.images import save_image, save_map
from visioncli.output.names import Names
from visioncli.results import Detections, Image, Regions, Result


class Crops:
    """Each object's box as `STEM-N-LABEL.jpg`, from 1; in a video `STEM-FRAME-N-LABEL.jpg`.

    Files that exist are overwritten: which there will be is not known before the work.
    """

    suffix = ".jpg"

    def __init__(self, folder: Path, option: str = "--crops") -> None:
        self._names = Names(folder, option, must_be_new=False)

    def reserve(self, input: Input, frame: Frame | None) -> Path:
        """What the names of an input's files begin with."""
        return self._names.claim(input, "", many=True)

    def save(self, stem: Path, frame: Frame, result: Result) -> None:
        """Write the files of one picture or frame."""
        if not isinstance(result.prediction, Detections):
            return
        middle = "" if frame.index is None else f"-{frame.index:06d}"
        image = frame.image
        for i, label in enumerate(result.labels):
            part = self.one(image, result.prediction, i)
            if part.size:
                path = stem.with_name(f"{stem.name}{middle}-{i + 1}-{safe_label(label)}{self.suffix}")
                save_image(path, part, icc=frame.icc)

    def one(self, image: Image, found: Detections, i: int) -> Image:
        """Object `i` alone."""
        return crop(image, found.boxes[i].tolist())


class Cutouts(Crops):
    """Each object on transparency, trimmed, as `STEM-N-LABEL.png`; named as crops are."""

    suffix = ".png"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "--cutouts")

    def one(self, image: Image, found: Detections, i: int) -> Image:
        """Object `i` alone, (h, w, 4); empty where it has no pixel."""
        from visioncli.render.background import cutout

        if found.masks is None or not found.masks.crops[i].any():
            return np.zeros((0, 0, 4), np.uint8)
        top, left = found.masks.corners[i].tolist()
        return cutout(image, found.masks.crops[i], (top, left))


class MaskFiles:
    """All masks of a picture as one PNG: `STEM.png`, and for a video's frames `STEM/FRAME.png`.

    Objects: 16 bits, a pixel is the number of its object from 1 in the order of the results (of several, the
    best one's), 0 is background. A semantic map: a pixel is its class, coloured by a palette.
    Files, and folders of frames, that exist are refused without `force`.
    """

    def __init__(self, folder: Path, *, force: bool = False) -> None:
        self._names = Names(folder, "--masks", must_be_new=not force)

    def reserve(self, input: Input, frame: Frame | None) -> Path:
        """A picture's file, or the folder of a video's frames."""
        return self._names.claim(input, "" if frame is None else ".png")

    def save(self, target: Path, frame: Frame, result: Result) -> None:
        """Write the masks of one picture or frame."""
        path = mask_path(target, frame)
        if isinstance(result.prediction, Regions):
            save_map(path, result.prediction.map, names=result.names)
        else:
            save_map(path, numbered(result))


def mask_path(target: Path, frame: Frame) -> Path:
    """The file for a picture's or a frame's masks; `target` is what was reserved for its input."""
    return target if frame.index is None else target / f"{frame.index:06d}.png"


def numbered(result: Result) -> np.ndarray[tuple[int, int], np.dtype[np.uint16]]:
    """(H, W) uint16: each pixel the number of its object from 1 (the best one's of several), or 0."""
    numbers = np.zeros((result.height, result.width), np.uint16)
    masks = result.detections.masks
    if masks is None:
        return numbers
    for i in reversed(range(min(len(masks), 0xFFFF))):
        (top, left), mask = masks.corners[i].tolist(), masks.crops[i]
        numbers[top : top + mask.shape[0], left : left + mask.shape[1]][mask] = i + 1
    return numbers


def crop(image: Image, box: Sequence[float]) -> Image:
    """The part of `image` that a box (x1, y1, x2, y2 in px) touches, at least one pixel, as a view."""
    height, width = image.shape[:2]
    x1, y1, x2, y2 = box
    left = min(max(math.floor(x1), 0), width - 1)
    top = min(max(math.floor(y1), 0), height - 1)
    right = min(max(math.ceil(x2), left + 1), width)
    bottom = min(max(math.ceil(y2), top + 1), height)
    return image[top:bottom, left:right]


def safe_label(label: str) -> str:
    """A label as a part of a file name: letters, digits, `-` and `.` kept, the rest `_`; at most 60 bytes."""
    name = re.sub(r"[^\w.-]+", "_", label).strip("._-")
    while len(name.encode()) > 60:
        name = name[:-1]
    return name or "object"
