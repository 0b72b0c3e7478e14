"""Numpy helpers that adapters share: resizing as the libraries resize, probabilities, boxes."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from visioncli.results import Classes, Floats, Image, Ints

Interpolation = Literal["nearest", "bilinear", "bicubic"]

# A picture more than this many times as long as wide loses its ends before it is resized for a centre crop:
# they are not in the crop, and a 1 × 50,000 picture would need gigabytes on its way.
MAX_ASPECT = 50


def resize_and_crop(
    image: Image, resize: int | tuple[int, int], crop: tuple[int, int], interpolation: Interpolation
) -> Image:
    """A (h, w, 3) centre crop of a resized (H, W, 3) uint8 picture, as the libraries' transforms.

    `resize` is the shorter side or (height, width); `crop` is (height, width), padded with black where the
    resized picture is smaller. Pillow's antialiased resize, which both libraries use on PIL pictures.
    """
    image = _without_ends(image)
    height, width = image.shape[:2]
    if isinstance(resize, int):
        short, long = min(height, width), max(height, width)
        longer = int(resize * long / short)
        size = (resize, longer) if height <= width else (longer, resize)
    else:
        size = resize
    return _center_crop(resize_to(image, size, interpolation), crop)


def resize_to(image: Image, size: tuple[int, int], interpolation: Interpolation) -> Image:
    """(H, W, 3) uint8 to (h, w, 3) with Pillow's antialiased resize, as torchvision's transforms."""
    from PIL import Image as Pillow

    if size == image.shape[:2]:
        return image
    resample = Pillow.Resampling[interpolation.upper()]
    return np.asarray(Pillow.fromarray(image).resize((size[1], size[0]), resample))


def _without_ends(image: Image) -> Image:
    height, width = image.shape[:2]
    if height > MAX_ASPECT * width:
        cut = (height - MAX_ASPECT * width) // 2
        return image[cut : height - cut]
    if width > MAX_ASPECT * height:
        cut = (width - MAX_ASPECT * height) // 2
        return image[:, cut : width - cut]
    return image


def _center_crop(image: Image, crop: tuple[int, int]) -> Image:
    for axis, wanted in enumerate(crop):
        missing = wanted - image.shape[axis]
        if missing > 0:
            pads = [(0, 0)] * 3
            pads[axis] = (missing // 2, (missing + 1) // 2)
            image = np.pad(image, pads)
    # Python's round (half to even) is what the library uses.
    top, left = (round((have - wanted) / 2) for have, wanted in zip(image.shape, crop, strict=False))
    return np.ascontiguousarray(image[top : top + crop[0], left : left + crop[1]])


def resize_normalised(
    image: Image, size: tuple[int, int], mean: Sequence[float], std: Sequence[float]
) -> Floats:
    """(H, W, 3) uint8 to (3, h, w) float32: (value / 255 - mean) / std, then bilinear to `size`.

    `size` is (height, width). As torch's `interpolate(align_corners=False, recompute_scale_factor=True)` on
    float32, no antialiasing: agrees to about 1e-6, where OpenCV's float resize differs by up to 1e-3.
    """
    height, width = image.shape[:2]
    top, bottom, down = taps(size[0], height)
    left, right, across = taps(size[1], width)
    # Rows that no output row looks at are left out at once: most of them, when a large picture shrinks.
    rows = np.unique(np.concatenate((top, bottom)))
    top, bottom = np.searchsorted(rows, top), np.searchsorted(rows, bottom)

    out = np.empty((3, *size), np.float32)
    one = np.float32(1)
    for channel, values in enumerate(_value_table(tuple(mean), tuple(std))):
        plane = np.take(values, image[rows, :, channel])
        lines = np.take(plane, left, axis=1) * (one - across)
        lines += np.take(plane, right, axis=1) * across
        np.multiply(lines[top], (one - down)[:, None], out=out[channel])
        out[channel] += lines[bottom] * down[:, None]
    return out


def taps(out: int, size: int) -> tuple[Ints, Ints, Floats]:
    """For each of `out` positions along an axis of `size`: its two neighbours and the second one's weight.

    As torch's bilinear interpolation with `align_corners=False`.
    """
    scale = np.float64(np.float32(size) / np.float32(out))
    # torch fuses the multiplication and the subtraction, so the product must not be rounded in between.
    position = (scale * (np.arange(out) + 0.5) - 0.5).astype(np.float32)
    position = np.maximum(position, np.float32(0))
    low = np.minimum(position.astype(np.int64), size - 1)
    weight = np.clip(position - low.astype(np.float32), 0, 1).astype(np.float32)
    return low, np.minimum(low + 1, size - 1), weight


@functools.cache
def _value_table(mean: tuple[float, ...], std: tuple[float, ...]) -> Floats:
    """(3, 256): what each byte becomes in each channel."""
    values = np.arange(256, dtype=np.float32) / np.float32(255)
    table: Floats = (values - np.array(mean, np.float32)[:, None]) / np.array(std, np.float32)[:, None]
    return table


def sigmoid(logits: NDArray[Any]) -> Floats:
    """1 / (1 + exp(-x)) in float32."""
    with np.errstate(over="ignore"):
        result: Floats = np.float32(1) / (np.float32(1) + np.exp(-logits.astype(np.float32, copy=False)))
    return result


def softmax(logits: NDArray[Any]) -> Floats:
    """Probabilities over the last axis, in float32."""
    logits = logits.astype(np.float32, copy=False)
    exps = np.exp(logits - logits.max(axis=-1, keepdims=True))
    result: Floats = exps / exps.sum(axis=-1, keepdims=True)
    return result


def top_k(scores: Floats, k: int) -> Classes:
    """The `k` best of (C,) scores, best first; equal ones by class number."""
    best = np.argsort(-scores, kind="stable")[:k].astype(np.int64)
    return Classes(best, scores[best].astype(np.float32, copy=False))


def clip_boxes(boxes: Floats, height: float, width: float) -> Floats:
    """(..., 4) boxes cut to the picture."""
    out = boxes.copy()
    np.clip(out[..., 0::2], 0, width, out=out[..., 0::2])
    np.clip(out[..., 1::2], 0, height, out=out[..., 1::2])
    return out


def scale_boxes(boxes: Floats, size: tuple[int, int], wanted: tuple[int, int]) -> Floats:
    """(N, 4) boxes of a picture of `size` (height, width) to one of `wanted`, with float32 ratios."""
    down, across = (np.float32(b) / np.float32(a) for a, b in zip(size, wanted, strict=True))
    return boxes * np.array([across, down, across, down], np.float32)


# How large a decoded box may become, against dividing by nothing: torchvision's and Detectron's limit.
MAX_LOG_SCALE = math.log(1000.0 / 16)


def decode_boxes(deltas: Floats, anchors: Floats, weights: tuple[float, float, float, float]) -> Floats:
    """(N, 4) regression outputs and their anchors (x1, y1, x2, y2) to boxes.

    `weights` divide dx, dy, dw, dh. The R-CNN parametrisation: https://arxiv.org/abs/1311.2524, appendix C.
    """
    half = np.float32(0.5)
    sizes = anchors[:, 2:] - anchors[:, :2]
    centers = anchors[:, :2] + half * sizes
    moves: Floats = np.divide(deltas, np.array(weights, np.float32))
    centers = moves[:, :2] * sizes + centers
    halves = half * (np.exp(np.minimum(moves[:, 2:], np.float32(MAX_LOG_SCALE))) * sizes)
    return np.concatenate((centers - halves, centers + halves), axis=1)


def decode_distances(distances: Floats, anchors: Floats) -> Floats:
    """(N, 4) distances left, top, right, bottom in anchor sizes, from the anchors' centres, to boxes.

    FCOS: https://arxiv.org/abs/2006.09214.
    """
    centers = np.float32(0.5) * (anchors[:, :2] + anchors[:, 2:])
    sizes = anchors[:, 2:] - anchors[:, :2]
    distances = distances * np.concatenate((sizes, sizes), axis=1)
    return np.concatenate((centers - distances[:, :2], centers + distances[:, 2:]), axis=1)
