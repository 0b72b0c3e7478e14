"""Small pictures of mistakes, as data URIs."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from pathlib import Path, PurePath

import numpy as np
from PIL import Image, ImageDraw

from visioncli.media import pictures
from visioncli.media.frame import Input
from visioncli.results import Image as Pixels

SIDE = 232  # px of a thumbnail
QUALITY = 80
TRUE, SAID = (90, 220, 120), (255, 120, 80)
"""The colours of what is there and of what was said."""
Box = Sequence[float]


def read(path: Path) -> Pixels:
    """A picture upright, (height, width, 3) uint8. Raises InputError."""
    return pictures.read(Input(str(path), "picture", path, PurePath(path.name))).image


def uri(image: Image.Image) -> str:
    """A JPEG inside an address."""
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode("ascii")


def whole(image: Pixels) -> str:
    """The whole picture, small."""
    small = Image.fromarray(image)
    small.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    return uri(small)


def around(image: Pixels, said: Box | None, true: Box | None) -> str:
    """The part of a picture around boxes (left, top, width, height), which are drawn: dashed is true."""
    height, width = image.shape[:2]
    boxes = [box for box in (said, true) if box is not None]
    left, top = min(b[0] for b in boxes), min(b[1] for b in boxes)
    right, bottom = max(b[0] + b[2] for b in boxes), max(b[1] + b[3] for b in boxes)
    side = min(max(1.5 * max(right - left, bottom - top), 72), max(width, height))
    x0, x1 = _span((left + right) / 2, side, width)
    y0, y1 = _span((top + bottom) / 2, side, height)
    scale = SIDE / max(x1 - x0, y1 - y0)
    size = max(round((x1 - x0) * scale), 1), max(round((y1 - y0) * scale), 1)
    part = Image.fromarray(np.ascontiguousarray(image[y0:y1, x0:x1])).resize(size, Image.Resampling.LANCZOS)
    draw = ImageDraw.Draw(part)
    for box, colour in ((true, TRUE), (said, SAID)):
        if box is not None:
            corners = [
                (box[0] - x0) * scale, (box[1] - y0) * scale,
                (box[0] + box[2] - x0) * scale, (box[1] + box[3] - y0) * scale,
            ]  # fmt: skip
            _rectangle(draw, corners, colour, size, dashed=colour is TRUE)
    return uri(part)


def _span(middle: float, side: float, length: int) -> tuple[int, int]:
    """A stretch of `side` around `middle` that lies within 0 and `length`."""
    side = min(side, length)
    low = min(max(middle - side / 2, 0), length - side)
    return int(low), max(int(low + side), int(low) + 1)


def _rectangle(
    draw: ImageDraw.ImageDraw, corners: Sequence[float], colour: tuple[int, int, int], size: tuple[int, int],
    *, dashed: bool,
) -> None:  # fmt: skip
    """A line on a dark seam, inside the picture."""
    x1, y1 = (min(max(v, 1), s - 2) for v, s in zip(corners[:2], size, strict=True))
    x2, y2 = (min(max(v, 1), s - 2) for v, s in zip(corners[2:], size, strict=True))
    draw.rectangle(
        (x1, y1, max(x2, x1 + 1), max(y2, y1 + 1)), outline=(0, 0, 0), width=4 if not dashed else 3
    )
    if not dashed:
        draw.rectangle((x1 + 1, y1 + 1, max(x2 - 1, x1 + 2), max(y2 - 1, y1 + 2)), outline=colour, width=2)
        return
    dash, step = 6, 10
    for start in np.arange(x1, x2, step):
        for y in (y1 + 1, y2 - 1):
            draw.line((start, y, min(start + dash, x2), y), fill=colour, width=2)
    for start in np.arange(y1, y2, step):
        for x in (x1 + 1, x2 - 1):
            draw.line((x, start, x, min(start + dash, y2)), fill=colour, width=2)
