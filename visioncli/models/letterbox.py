"""Ultralytics' letterbox: scale to fit, pad to a multiple of the stride, and the way back to pixels."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from visioncli.results import Floats, Image

PAD_VALUE = 114  # the grey that YOLO networks are trained with


@dataclass(frozen=True, slots=True)
class Letterbox:
    """How a (height, width) picture lies in a network's input of `shape` (height, width)."""

    height: int
    width: int
    shape: tuple[int, int]
    inner: tuple[int, int]
    top: int
    left: int

    def boxes(self, boxes: Floats) -> Floats:
        """(N, 4) boxes of the network's input to pixels of the picture, clipped to it."""
        gain_y, gain_x = self.inner[0] / self.height, self.inner[1] / self.width
        out = boxes - np.array([self.left, self.top, self.left, self.top], np.float32)
        out /= np.array([gain_x, gain_y, gain_x, gain_y], np.float32)
        np.clip(out[:, 0::2], 0, self.width, out=out[:, 0::2])
        np.clip(out[:, 1::2], 0, self.height, out=out[:, 1::2])
        return out


def letterbox(image: Image, size: tuple[int, int], stride: int) -> tuple[Image, Letterbox]:
    """Fit (H, W, 3) into `size` (height, width), padded only to the next multiple of `stride`.

    As `ultralytics.data.augment.LetterBox(auto=True)`: the same rounding, bilinear, grey 114, centred.
    """
    height, width = image.shape[:2]
    ratio = min(size[0] / height, size[1] / width)
    inner = max(round(height * ratio), 1), max(round(width * ratio), 1)
    pad_y, pad_x = (size[0] - inner[0]) % stride / 2, (size[1] - inner[1]) % stride / 2
    top, bottom = round(pad_y - 0.1), round(pad_y + 0.1)
    left, right = round(pad_x - 0.1), round(pad_x + 0.1)
    shape = inner[0] + top + bottom, inner[1] + left + right

    out = np.empty((*shape, 3), np.uint8)
    out[:top], out[shape[0] - bottom :] = PAD_VALUE, PAD_VALUE
    out[:, :left], out[:, shape[1] - right :] = PAD_VALUE, PAD_VALUE
    middle = out[top : top + inner[0], left : left + inner[1]]
    if inner == (height, width):
        middle[:] = image
    else:
        # Into a view of the batch's own buffer where OpenCV can (rows with a stride): no second copy.
        resized = cv2.resize(image, (inner[1], inner[0]), dst=middle, interpolation=cv2.INTER_LINEAR)
        if resized.__array_interface__["data"][0] != middle.__array_interface__["data"][0]:
            middle[:] = resized
    return out, Letterbox(height, width, shape, inner, top, left)


def stretch(image: Image, size: tuple[int, int]) -> tuple[Image, Letterbox]:
    """Resize (H, W, 3) to `size` (height, width) without keeping its proportions (RT-DETR's way)."""
    height, width = image.shape[:2]
    out = cv2.resize(image, (size[1], size[0]), interpolation=cv2.INTER_LINEAR)
    return np.asarray(out, np.uint8), Letterbox(height, width, size, size, 0, 0)


def whole_strides(size: tuple[int, int], stride: int) -> tuple[int, int]:
    """`size` (height, width) rounded up to multiples of `stride`, at least one stride."""
    height, width = (max(math.ceil(side / stride), 1) * stride for side in size)
    return height, width
