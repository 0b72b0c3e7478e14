"""What is behind the objects: blurred, taken away, or replaced by a colour or a picture."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from visioncli.errors import InputError, UsageError
from visioncli.render.matte import Alpha, foreground, matte, reach
from visioncli.render.style import Colour, extent
from visioncli.results import Image, Mask, Regions, Result

_BLUR = 0.018  # of the picture's extent: the standard deviation of the blur
_TILE = 256  # px, side of the tiles in which edges are worked on
_INERTIA = 0.7  # how much of a pixel's share comes from the frame before, where the picture stands still
_UNSEEN = 1 / 255
_SAME = 8.0  # of 255: a larger change of a pixel's colour is movement
_SPECK = 0.02  # of the largest piece's area
_FAINT = 12  # of 255: what is not more opaque than that is trimmed off a cut-out
_SMALL = 4.0  # px, the blur's standard deviation after shrinking: fewer pixels, the same look


@dataclass(frozen=True, slots=True)
class Background:
    """What `--background` says: `blur`, `remove`, or `fill` with a colour or a picture (H, W, 3)."""

    kind: Literal["blur", "remove", "fill"]
    fill: Colour | Image | None = None

    @classmethod
    def parse(cls, text: str) -> Background:
        """`blur`, `remove`, a colour (`white`, `#20a0ff`, `rgb(1,2,3)`) or a picture's path.

        Raises UsageError for anything else, and for a picture that cannot be read.
        """
        if text in ("blur", "remove"):
            return cls("blur" if text == "blur" else "remove")
        from PIL import ImageColor

        try:
            red, green, blue = ImageColor.getrgb(text)[:3]
        except ValueError:
            return cls("fill", _picture(text))
        return cls("fill", (red, green, blue))

    @property
    def transparent(self) -> bool:
        """Whether its pictures have an alpha channel."""
        return self.kind == "remove"

    def behind(self, image: Image, result: Result) -> Image:
        """`image` ((H, W, 3) uint8 RGB) with its background changed: (H, W, 3), or (H, W, 4) for `remove`.

        All objects of `result` stay, or all classes of its map but the background.
        """
        return self.changed(image, kept_alpha(image, result))

    def changed(self, image: Image, alpha: Alpha) -> Image:
        """As `behind`, with the share (H, W) 0..1 of each pixel that stays."""
        height, width = alpha.shape
        radius = reach(width, height)
        if self.kind == "remove":
            return _transparent(image, alpha, radius)
        ground = _blurred(image, alpha) if self.kind == "blur" else self._fill(width, height)
        share = np.round(255 * alpha).astype(np.uint8)
        return _mix(_own_colours(image, alpha, radius), ground, share)

    def _fill(self, width: int, height: int) -> Image:
        """The colour, or the picture scaled and cut to cover (height, width)."""
        if not isinstance(self.fill, np.ndarray):
            return np.full((height, width, 3), self.fill, np.uint8)
        scale = max(width / self.fill.shape[1], height / self.fill.shape[0])
        size = (max(width, round(self.fill.shape[1] * scale)), max(height, round(self.fill.shape[0] * scale)))
        how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        scaled = cv2.resize(self.fill, size, interpolation=how)
        top, left = (size[1] - height) // 2, (size[0] - width) // 2
        return np.asarray(scaled[top : top + height, left : left + width], np.uint8)


class MovingBackground:
    """A background behind a video's frames, one after the other: what stays does not flicker.

    An object that is missed in a frame, or an edge that jumps, keeps a part of what it had before, the more
    the less its pixels have changed. So what moves leaves no trail.
    """

    def __init__(self, background: Background) -> None:
        self._background = background
        self._before: tuple[Image, Alpha] | None = None

    def behind(self, image: Image, result: Result) -> Image:
        """The next frame with its background changed."""
        alpha = kept_alpha(image, result)
        if self._before is not None and self._before[0].shape == image.shape:
            before, kept = self._before
            change = cv2.blur(cv2.absdiff(image, before).max(axis=2), (5, 5)).astype(np.float32)
            alpha += _INERTIA * np.exp(-((change / _SAME) ** 2)) * (kept - alpha)
            alpha[alpha < _UNSEEN] = 0  # a remainder that nobody sees would be work in every frame to come
            alpha[alpha > 1 - _UNSEEN] = 1
        self._before = image, alpha
        return self._background.changed(image, alpha)


def kept_alpha(image: Image, result: Result) -> Alpha:
    """How much of each pixel stays, (H, W) 0..1: `kept_mask` with soft edges."""
    kept = kept_mask(result)
    radius = reach(result.width, result.height)
    alpha = np.zeros(kept.shape, np.float32)
    if kept.any():
        part = _around(kept, 4 * radius)
        alpha[part] = matte(image[part], kept[part], radius)
    return alpha


def kept_mask(result: Result) -> Mask:
    """(H, W) bool: the pixels of all objects (no specks), or of a map's classes but the background."""
    found = result.prediction
    if isinstance(found, Regions):
        return np.isin(found.map, found.foreground(result.names))
    kept = np.zeros((result.height, result.width), np.bool_)
    masks = result.detections.masks
    if masks is not None:
        for (top, left), crop in zip(masks.corners.tolist(), map(_without_specks, masks.crops), strict=True):
            kept[top : top + crop.shape[0], left : left + crop.shape[1]] |= crop
    return kept


def cutout(image: Image, mask: Mask, corner: tuple[int, int]) -> Image:
    """One object alone: (h, w, 4) uint8 RGBA, trimmed to what is not transparent.

    `mask` is the crop at `corner` (top, left) of a mask of `image`.
    """
    height, width = image.shape[:2]
    radius = reach(width, height)
    margin = 4 * radius
    top, left = max(corner[0] - margin, 0), max(corner[1] - margin, 0)
    part = image[top : corner[0] + mask.shape[0] + margin, left : corner[1] + mask.shape[1] + margin]
    inside = np.zeros(part.shape[:2], np.bool_)
    inside[corner[0] - top :, corner[1] - left :][: mask.shape[0], : mask.shape[1]] = _without_specks(mask)
    alpha = matte(part, inside, radius)
    pixels = _transparent(part, alpha, radius)
    seen = pixels[..., 3] > _FAINT
    return pixels[_around(seen, 0)] if seen.any() else pixels[:1, :1]


def _without_specks(mask: Mask) -> Mask:
    """`mask` without pieces much smaller than its largest: networks see them where the object is not."""
    if not mask.any():  # OpenCV crashes on a mask of no pixels at all
        return mask
    count, pieces, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    if count <= 2:
        return mask
    areas = stats[:, cv2.CC_STAT_AREA]
    large = areas >= _SPECK * areas[1:].max()
    large[0] = False
    return np.asarray(large[pieces], np.bool_)


def _picture(text: str) -> Image:
    """The picture to put behind."""
    from visioncli.media import pictures
    from visioncli.media.frame import Input

    path = Path(text)
    if not path.is_file():
        raise UsageError(
            f"--background {text}: neither blur, remove, a colour nor a picture's file",
            hint="--background '#f0f0f0', or --background beach.jpg",
        )
    try:
        return pictures.read(Input(text, "picture", path, PurePath(path.name))).image
    except InputError as error:
        raise UsageError(f"--background {error}") from error


def _around(mask: Mask, margin: int) -> tuple[slice, slice]:
    """The rows and columns of a mask's pixels, and `margin` px around."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return (
        slice(max(int(rows[0]) - margin, 0), int(rows[-1]) + 1 + margin),
        slice(max(int(columns[0]) - margin, 0), int(columns[-1]) + 1 + margin),
    )


def _transparent(image: Image, alpha: Alpha, radius: int) -> Image:
    """(H, W, 4) uint8 RGBA; nothing of the picture is left where it cannot be seen."""
    opacity = _whole(255 * alpha)
    colours = _own_colours(image, alpha, radius)
    colours[opacity == 0] = 0
    return np.dstack([colours, opacity])


def _own_colours(image: Image, alpha: Alpha, radius: int) -> Image:
    """`image` with the objects' own colours in their soft edges, worked out only in tiles that have some."""
    colours = image.copy(order="C")
    margin = 2 * radius
    for y in range(0, image.shape[0], _TILE):
        for x in range(0, image.shape[1], _TILE):
            tile = alpha[y : y + _TILE, x : x + _TILE]
            if not ((tile > 0) & (tile < 1)).any():
                continue
            top, left = max(y - margin, 0), max(x - margin, 0)
            part = (slice(top, y + _TILE + margin), slice(left, x + _TILE + margin))
            own = foreground(image[part], alpha[part], radius)[y - top :, x - left :]
            colours[y : y + _TILE, x : x + _TILE] = own[: tile.shape[0], : tile.shape[1]]
    return colours


def _blurred(image: Image, alpha: Alpha) -> Image:
    """The picture out of focus, without the objects: their colours would glow around them."""
    height, width = alpha.shape
    sigma = _BLUR * extent(width, height)
    shrink = max(1.0, sigma / _SMALL)
    size = (math.ceil(width / shrink), math.ceil(height / shrink))
    outside = np.round(255 * (1 - alpha)).astype(np.uint8)
    pixels = cv2.multiply(image, cv2.merge([outside] * 3), scale=1 / 255)
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    share = cv2.resize(outside, size, interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    weight = cv2.GaussianBlur(share, (0, 0), sigma / shrink)[..., None]
    ground = _whole(cv2.GaussianBlur(small, (0, 0), sigma / shrink) / np.maximum(weight, 1e-3))
    return np.asarray(cv2.resize(ground, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


def _mix(top: Image, ground: Image, share: NDArray[np.uint8]) -> Image:
    """`top` over `ground` by `share` (H, W) of 255."""
    shares = cv2.merge([share] * 3)
    upper = cv2.multiply(top, shares, scale=1 / 255)
    return np.asarray(cv2.add(upper, cv2.multiply(ground, 255 - shares, scale=1 / 255)), np.uint8)


def _whole(values: NDArray[np.float32]) -> NDArray[np.uint8]:
    return np.asarray(np.round(np.clip(values, 0, 255)), np.uint8)
