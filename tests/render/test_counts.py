"""Lines and zones in the picture: where they are, which way is in, and the counts beside them."""

from __future__ import annotations

import numpy as np
import pytest

from visioncli.render.counts import draw_counts, draw_shapes
from visioncli.render.style import Style
from visioncli.results import Image
from visioncli.track.counting import Sign
from visioncli.track.shapes import Line, Zone

STYLE = Style(line=2)


def grey() -> Image:
    return np.full((180, 320, 3), 100, np.uint8)


def changed(canvas: Image) -> np.ndarray:
    return (canvas != 100).any(axis=2)


def test_a_line_and_its_arrow() -> None:
    canvas = grey()
    draw_shapes(canvas, [Sign(Line("gate", (20, 90), (300, 90)), "gate", False)], STYLE)
    assert (canvas[90, 25:295:10] > 230).all()
    below, above = changed(canvas)[96:130].sum(), changed(canvas)[50:84].sum()
    assert below > 20, "drawn from left to right: in is downwards, and the arrow shows it"
    assert above == 0
    turned = grey()
    draw_shapes(turned, [Sign(Line("gate", (300, 90), (20, 90)), "gate", False)], STYLE)
    assert changed(turned)[50:84].sum() > 20


def test_a_zone_is_tinted() -> None:
    canvas = grey()
    corners = ((50.0, 50.0), (150.0, 50.0), (150.0, 150.0), (50.0, 150.0))
    draw_shapes(canvas, [Sign(Zone("door", corners), "door", False)], STYLE)
    assert (canvas[100, 100] > 105).all()
    assert (canvas[100, 100] < 130).all(), "what is in it stays visible"
    assert (canvas[100, 50] > 230).all()
    assert (canvas[100, 200] == 100).all()


def test_lit() -> None:
    line = Line("gate", (20, 90), (300, 90))
    canvas = grey()
    draw_shapes(canvas, [Sign(line, "gate", True)], STYLE)
    r, _, b = canvas[90, 40].tolist()
    assert r > 200 > 60 > b


def test_counts_stand_beside_the_line() -> None:
    canvas = grey()
    sign = Sign(Line("gate", (20, 90), (300, 90)), "gate   in 3   out 1", False)
    draw_counts(canvas, [sign], STYLE)
    rows, columns = np.nonzero(changed(canvas))
    assert rows.max() < 90, "on the side that the arrow does not point to"
    assert 15 <= columns.min() <= 40
    longer = grey()
    draw_counts(longer, [Sign(sign.shape, "gate   in 3   out 1,000", False)], STYLE)
    assert changed(longer).sum() > changed(canvas).sum()


@pytest.mark.parametrize(
    "shape",
    [
        Line("a", (-5000, 90), (5000, 90)), Line("a", (160, 0), (160, 180)), Line("a", (-10, -10), (-5, -5)),
        Line("a", (10, 10), (10.001, 10)), Line("a", (319, 0), (319, 1e6)),
        Zone("a", ((-1e6, -1e6), (1e6, -1e6), (0, 1e6))), Zone("a", ((400, 0), (500, 0), (500, 100))),
        Zone("a", ((0, 0), (1, 0), (1, 1))),
    ],
)  # fmt: skip
def test_anywhere(shape: Line | Zone) -> None:
    """Wherever they lie, drawing goes well, and the tag stays in the picture."""
    canvas = grey()
    sign = Sign(shape, "a rather long name   in 3   out 1", True)
    draw_shapes(canvas, [sign], Style())
    draw_counts(canvas, [sign], Style())
    assert changed(canvas).any()
    tiny = np.zeros((8, 8, 3), np.uint8)
    draw_shapes(tiny, [sign], Style())
    draw_counts(tiny, [sign], Style())
