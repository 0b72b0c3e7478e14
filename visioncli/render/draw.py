"""`draw`: a result into a copy of its picture."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from visioncli.render.boxes import draw_boxes
from visioncli.render.canvas import Canvas, RgbCanvas, YuvCanvas
from visioncli.render.legend import draw_legend
from visioncli.render.masks import draw_masks
from visioncli.render.regions import draw_regions
from visioncli.render.style import Style
from visioncli.results import Classes, Detections, Image, Regions, Result

if TYPE_CHECKING:
    from visioncli.media.yuv import Yuv

_DEFAULT = Style()


def draw(image: Image, result: Result, style: Style = _DEFAULT) -> Image:
    """An annotated copy of `image` ((H, W, 3) uint8 RGB) with the masks, boxes, map or labels of `result`.

    Thread-safe; ValueError where the picture is not the one that `result` is about (another size).
    """
    if image.shape != (result.height, result.width, 3):
        raise ValueError(
            f"a result for {result.width}x{result.height} px on a picture of shape {image.shape}"
        )
    canvas = image.copy(order="C")
    found = result.prediction
    if isinstance(found, Classes):
        draw_legend(canvas, found, result.names, style)
    elif isinstance(found, Regions):
        draw_regions(canvas, found, result.names, style)
    elif found.masks is not None:
        draw_masks(canvas, found, found.masks, result.names, style)
    else:
        draw_boxes(RgbCanvas(canvas), found, result.names, style)
    return canvas


def draw_frame(
    pixels: Image | Yuv,
    result: Result,
    style: Style = _DEFAULT,
    under: Callable[[Canvas], None] | None = None,
) -> Image | Yuv:
    """As `draw`; a frame as decoded is drawn on as it is where there is nothing but boxes to draw.

    `under` draws first.
    """
    found = result.prediction
    if isinstance(pixels, np.ndarray) or not isinstance(found, Detections) or found.masks is not None:
        image = pixels if isinstance(pixels, np.ndarray) else pixels.rgb()
        if under is not None:
            image = image.copy(order="C")
            under(RgbCanvas(image))
        return draw(image, result, style)
    copy = pixels.copy()
    if under is not None:
        under(YuvCanvas(copy))
    draw_boxes(YuvCanvas(copy), found, result.names, style)
    return copy
