"""Soft edges for masks: how much of each pixel is the object, and which colour the object has there."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from visioncli.render.masks import edge_distance
from visioncli.render.style import extent
from visioncli.results import Image, Mask

Alpha = NDArray[np.float32]

_REACH = 0.008  # of the picture's extent: how far from a mask's edge the object's true edge is looked for
_EVEN = 1e-3  # variance of colour (of 1) below which the guided filter sees no edge
_WINDOW = 4  # px, the guided filter's radius after shrinking: fewer pixels, the same answer
_EXPLAINED = 0.1  # share of a mask's variance that the colours must explain to be trusted in full
_BLUNT = 1.5  # px: half the width of the soft edge where the picture's colours tell nothing
_STEEPER = 2.0  # the filter leaves a haze far from edges: slope of the curve that takes it away


def reach(width: int, height: int) -> int:
    """How far soft edges go in a picture, in px: 3 on 400×300, 8 on 720p, 28 on 12 megapixels."""
    return max(2, round(_REACH * extent(width, height)))


def matte(image: Image, mask: Mask, radius: int) -> Alpha:
    """The share (H, W) 0..1 of each pixel that belongs to `mask`; only within `radius` px of its edge soft.

    There it follows the edges of `image` ((H, W, 3) uint8 RGB): the guided filter (He, Sun, Tang: Guided
    Image Filtering, TPAMI 2013) on a smaller picture (He, Sun: Fast Guided Filter, arXiv 1505.00996). Where
    colours inside and outside are alike the filter would follow any texture: there it is a plain soft edge.
    """
    if not mask.any() or mask.all():
        return mask.astype(np.float32)
    distance = edge_distance(mask.astype(np.uint8), radius + 1)
    hard = np.clip(distance + 0.5, 0, 1)
    share, explained = _guided(image, hard, radius)
    guided = np.clip((share - 0.5) * _STEEPER + 0.5, 0, 1)
    trust = np.clip(explained / _EXPLAINED, 0, 1) * np.clip(2 - 2 * np.abs(distance) / radius, 0, 1)
    plain = np.clip(distance / (2 * _BLUNT) + 0.5, 0, 1)
    return np.asarray(trust * guided + (1 - trust) * plain, np.float32)


def _guided(image: Image, mask: Alpha, radius: int) -> tuple[Alpha, Alpha]:
    """`mask` as a local linear function of the picture's colours, and how much of it that explains, 0..1."""
    height, width = mask.shape
    shrink = max(1.0, radius / _WINDOW)
    small = (max(1, round(width / shrink)), max(1, round(height / shrink)))
    colours = cv2.resize(image, small, interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    share = cv2.resize(mask, small, interpolation=cv2.INTER_AREA)
    window = 2 * max(1, round(radius / shrink)) + 1

    def mean(values: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(cv2.blur(values, (window, window), borderType=cv2.BORDER_REFLECT), np.float32)

    colour, share_mean = mean(colours), mean(share)
    r, g, b = (colours[..., i] for i in range(3))
    mr, mg, mb = (colour[..., i] for i in range(3))
    # Variances of the colours (symmetric), with `_EVEN` on the diagonal, and their covariance with the mask.
    rr, gg, bb = mean(r * r) - mr * mr + _EVEN, mean(g * g) - mg * mg + _EVEN, mean(b * b) - mb * mb + _EVEN
    rg, rb, gb = mean(r * g) - mr * mg, mean(r * b) - mr * mb, mean(g * b) - mg * mb
    pr, pg, pb = (mean(c * share) - m * share_mean for c, m in ((r, mr), (g, mg), (b, mb)))
    # The inverse of the 3×3 matrix, by cofactors.
    c11, c12, c13 = gg * bb - gb * gb, rb * gb - rg * bb, rg * gb - rb * gg
    c22, c23, c33 = rr * bb - rb * rb, rg * rb - rr * gb, rr * gg - rg * rg
    determinant = rr * c11 + rg * c12 + rb * c13
    slopes = cv2.merge(
        [c11 * pr + c12 * pg + c13 * pb, c12 * pr + c22 * pg + c23 * pb, c13 * pr + c23 * pg + c33 * pb]
    )
    slopes /= determinant[..., None]
    explained = (slopes * cv2.merge([pr, pg, pb])).sum(axis=2) / (mean(share * share) - share_mean**2 + 1e-4)
    offset = share_mean - (slopes * colour).sum(axis=2)
    slopes = cv2.resize(mean(slopes), (width, height), interpolation=cv2.INTER_LINEAR)
    offset = cv2.resize(mean(offset), (width, height), interpolation=cv2.INTER_LINEAR)
    explained = cv2.resize(mean(explained), (width, height), interpolation=cv2.INTER_LINEAR)
    for i in range(3):
        offset += slopes[..., i] * (image[..., i].astype(np.float32) / 255)
    return np.asarray(offset, np.float32), np.asarray(explained, np.float32)


def foreground(image: Image, alpha: Alpha, radius: int) -> Image:
    """The object's own colours (H, W, 3) uint8, also where the background shines through its soft edge.

    From the colours around, weighted by `alpha` (Forte: Approximate Fast Foreground Colour Estimation,
    ICIP 2021).
    """
    window = (4 * radius + 1, 4 * radius + 1)
    share = alpha[..., None]
    pixels = image.astype(np.float32)
    inner = cv2.blur(pixels * share, window) / (cv2.blur(alpha, window)[..., None] + 1e-5)
    outer = cv2.blur(pixels * (1 - share), window) / (cv2.blur(1 - alpha, window)[..., None] + 1e-5)
    inner += share * (pixels - share * inner - (1 - share) * outer)
    return np.asarray(np.round(np.clip(np.where((share > 0) & (share < 1), inner, pixels), 0, 255)), np.uint8)
