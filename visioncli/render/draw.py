"""`draw`: a result into a copy of its picture."""

from __future__ import annotations

from visioncli.render.boxes import draw_boxes
from visioncli.render.legend import draw_legend
from visioncli.render.style import Style
from visioncli.results import Classes, Detections, Image, Result

_DEFAULT = Style()


def draw(image: Image, result: Result, style: Style = _DEFAULT) -> Image:
    """An annotated copy of `image` ((H, W, 3) uint8 RGB): boxes with labels, or a legend of the top k.

    Thread-safe; ValueError where the picture is not the one that `result` is about (another size).
    """
    if image.shape != (result.height, result.width, 3):
        raise ValueError(
            f"a result for {result.width}x{result.height} px on a picture of shape {image.shape}"
        )
    canvas = image.copy(order="C")
    if isinstance(result.prediction, Detections):
        draw_boxes(canvas, result.prediction, result.names, style)
    elif isinstance(result.prediction, Classes):
        draw_legend(canvas, result.prediction, result.names, style)
    return canvas
