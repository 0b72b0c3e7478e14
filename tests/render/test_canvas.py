"""The same boxes on RGB and on a video frame's planes."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visioncli.media.yuv import Yuv
from visioncli.render import Style, draw, draw_frame
from visioncli.render.canvas import YuvCanvas
from visioncli.render.style import class_colour
from visioncli.render.tags import ycbcr
from visioncli.render.trails import Trails
from visioncli.results import Classes, Detections, Result

NAMES = ["person", "bicycle", "a name that is longer than the picture is wide"]


def plain(width: int, height: int, *, bt709: bool = True, value: int = 120) -> Yuv:
    frame = av.VideoFrame(width, height, "yuv420p")
    frame.colorspace = 1 if bt709 else 5
    frame.color_range = 1
    yuv = Yuv(frame)
    for plane, sample in zip(yuv.planes, (value, 120, 135), strict=True):
        plane[:] = sample
    return yuv


def found(
    width: int, height: int, rows: list[tuple[tuple[float, float, float, float], float, int]]
) -> Result:
    boxes = np.array([r[0] for r in rows], np.float32).reshape(-1, 4)
    scores, classes = np.array([r[1] for r in rows], np.float32), np.array([r[2] for r in rows], np.int64)
    return Result("x", width, height, Detections(boxes, scores, classes), NAMES)


@pytest.mark.parametrize("bt709", [True, False])
@pytest.mark.parametrize("shift", [0, 1])
def test_as_in_rgb(bt709: bool, shift: int) -> None:
    yuv = plain(640, 360, bt709=bt709)
    rows = [((50 + shift, 60 + shift, 250, 300), 0.9, 0), ((300, 90, 500 + shift, 200 + shift), 0.5, 1)]
    result = found(640, 360, rows)
    wanted = draw(yuv.rgb(), result).astype(int)
    drawn = draw_frame(yuv, result)
    assert isinstance(drawn, Yuv)
    apart = np.abs(Yuv(drawn.frame).rgb().astype(int) - wanted)
    # Colour has half the resolution, and tags lie on even pixels.
    assert apart.mean() < 1.5
    assert (apart.max(2) > 60).mean() < 0.02


def test_the_line_has_the_colour_of_its_class() -> None:
    yuv = plain(200, 200)
    drawn = draw_frame(yuv, found(200, 200, [((40, 40, 160, 160), 0.9, 1)]), Style(line=4, labels=False))
    assert isinstance(drawn, Yuv)
    y, u, v = drawn.planes
    line = ycbcr(class_colour(1), True)
    assert (int(y[100, 40]), int(u[50, 20]), int(v[50, 20])) == line
    assert np.abs(drawn.rgb()[100, 40].astype(int) - class_colour(1)).max() <= 4
    assert (y[60:140, 60:140] == 120).all() and (u[30:70, 30:70] == 120).all()


def test_the_frame_itself_is_left_alone() -> None:
    yuv = plain(64, 48)
    draw_frame(yuv, found(64, 48, [((4, 4, 50, 40), 0.9, 0)]))
    assert all((plane == plane.flat[0]).all() for plane in yuv.planes)


def test_what_is_no_box_is_drawn_in_rgb() -> None:
    scores = np.array([0.6, 0.2], np.float32)
    labels = Result("x", 64, 48, Classes(np.arange(2), scores), NAMES)
    assert isinstance(draw_frame(plain(64, 48), labels), np.ndarray)


def test_colours_as_the_standards_have_them() -> None:
    assert ycbcr((255, 255, 255), True) == ycbcr((255, 255, 255), False) == (235, 128, 128)
    assert ycbcr((0, 0, 0), True) == (16, 128, 128)
    assert ycbcr((255, 0, 0), False) == (81, 90, 240)  # the bars of BT.601 and BT.709
    assert ycbcr((255, 0, 0), True) == (63, 102, 240)


coordinate = st.floats(-40, 140, width=32)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.tuples(st.tuples(*[coordinate] * 4), st.floats(0, 1, width=32), st.integers(0, 2)), max_size=6
    ),
    st.integers(1, 50),
    st.integers(1, 50),
    st.integers(1, 9),
)
def test_nothing_is_drawn_far_from_boxes_and_tags(
    rows: list[tuple[tuple[float, float, float, float], float, int]], half_w: int, half_h: int, line: int
) -> None:
    width, height = 2 * half_w, 2 * half_h
    rows = [((min(a, c), min(b, d), max(a, c), max(b, d)), s, k) for (a, b, c, d), s, k in rows]
    drawn = draw_frame(plain(width, height), found(width, height, rows), Style(line=line))
    assert isinstance(drawn, Yuv)
    touched = np.zeros((height, width), bool)
    for (x1, y1, x2, y2), _, _ in rows:  # within a tag's height and width of its box
        left, top = int(max(min(x1, width) - 200, 0)), int(max(min(y1, height) - 40, 0))
        touched[top : int(max(y2, 0)) + 40, left : int(max(x2, 0)) + 200] = True
    assert (drawn.planes[0][~touched] == 120).all()
    if not rows:
        assert all((plane == plane.flat[0]).all() for plane in drawn.planes)


def test_a_tag_at_the_far_corner() -> None:
    yuv = plain(200, 100)
    drawn = draw_frame(yuv, found(200, 100, [((197, 97, 200, 100), 0.9, 0)]), Style(font=18))
    assert isinstance(drawn, Yuv)
    assert YuvCanvas(drawn).width == 200
    assert (drawn.planes[0] != 120).sum() > 500


def test_a_trail_on_planes_as_in_rgb() -> None:
    spots = [((20.0 + 9 * i, 40.0 + 5 * i, 60.0 + 9 * i, 121.0 + 5 * i), 0.9, 0) for i in range(20)]
    drawn = []
    for yuv in (True, False):
        trails = Trails(2.0)
        for i, spot in enumerate(spots):
            frame = plain(400, 300)
            result = found(400, 300, [spot])
            tracked = replace(result.detections, ids=np.array([3]))
            result = replace(result, prediction=tracked, time=i / 10)
            pixels = frame if yuv else frame.rgb()
            picture = draw_frame(pixels, result, Style(), partial(trails.draw, result=result, style=Style()))
        drawn.append(picture.rgb() if isinstance(picture, Yuv) else picture)
    apart = np.abs(drawn[0].astype(int) - drawn[1])
    assert apart.mean() < 1.5
    assert (apart.max(2) > 60).mean() < 0.02
    assert (drawn[0] != plain(400, 300).rgb()).any(2)[110:150, 50:100].mean() > 0.03, "there is a trail"
