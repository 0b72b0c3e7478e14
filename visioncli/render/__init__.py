"""Drawing a model's answers into pictures: `draw(image, result)` gives an annotated copy."""

from __future__ import annotations

from visioncli.render.draw import draw, draw_frame
from visioncli.render.style import Style

__all__ = ["Style", "draw", "draw_frame"]
