"""Boxes and legends into pictures."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visioncli.render import Style, boxes, draw, tags
from visioncli.render.style import class_colour
from visioncli.results import Classes, Detections, Image, Result

NAMES = ["person", "größe", "日本語", "a very long class name indeed, longer than most pictures are wide", ""]


def detections(height: int, width: int, rows: list[tuple[list[float], float, int]]) -> Result:
    found = Detections(
        np.array([r[0] for r in rows], np.float32).reshape(-1, 4),
        np.array([r[1] for r in rows], np.float32),
        np.array([r[2] for r in rows], np.int64),
    )
    return Result("x", width, height, found, NAMES)


def classes(height: int, width: int, k: int = 5) -> Result:
    scores = np.array([0.6, 0.2, 0.1, 0.05, 0.002][:k], np.float32)
    return Result("x", width, height, Classes(np.arange(k, dtype=np.int64), scores), NAMES)


def grey(height: int, width: int, value: int = 90) -> Image:
    return np.full((height, width, 3), value, np.uint8)


def test_the_input_is_left_alone() -> None:
    image = grey(120, 160)
    out = draw(image, detections(120, 160, [([20, 40, 90, 100], 0.9, 0)]))
    assert (image == 90).all()
    assert (out != 90).any()
    frozen = grey(120, 160)
    frozen.flags.writeable = False
    assert np.array_equal(draw(frozen, detections(120, 160, [([20, 40, 90, 100], 0.9, 0)])), out)


def test_the_line_is_on_the_box_in_the_colour_of_the_class() -> None:
    out = draw(
        grey(200, 300), detections(200, 300, [([50, 60, 250, 180], 0.9, 1)]), Style(line=1, labels=False)
    )
    colour = np.array(class_colour(1))
    assert (out[60, 50:250] == colour).all()
    assert (out[179, 50:250] == colour).all()
    assert (out[60:180, 50] == colour).all()
    assert (out[60:180, 249] == colour).all()
    assert (out[70:170, 60:240] == 90).all()
    outside = out.copy()
    outside[60:180, 50:250] = 90
    assert (outside == 90).all()


def test_a_tag_is_above_its_box_and_inside_at_the_top_edge() -> None:
    low = draw(grey(200, 300), detections(200, 300, [([50, 100, 200, 180], 0.9, 0)]))
    assert (low[85:98, 60:90] == class_colour(0)).all(axis=2).any()
    top = draw(grey(200, 300), detections(200, 300, [([50, 0, 200, 180], 0.9, 0)]))
    assert (top[2:14, 54:90] == class_colour(0)).all(axis=2).sum() > 100


@pytest.mark.parametrize(
    "corner", [[0, 0, 30, 30], [270, 0, 300, 30], [0, 170, 30, 200], [270, 170, 300, 200]]
)
def test_a_tag_in_any_corner_is_whole(corner: list[float]) -> None:
    """Its area of the class's colour is as large as in the middle of the picture."""
    style = Style(line=1)
    middle = draw(grey(200, 300), detections(200, 300, [([130, 90, 160, 120], 0.9, 0)]), style)
    out = draw(grey(200, 300), detections(200, 300, [(corner, 0.9, 0)]), style)
    count = [int((picture == class_colour(0)).all(axis=2).sum()) for picture in (middle, out)]
    assert abs(count[0] - count[1]) <= 70  # of the line, what the tag covers differs


def test_tags_do_not_cover_each_other() -> None:
    placed: list[tags.Rect] = []
    for _ in range(4):
        placed.append(boxes._place((100, 100, 200, 200), 60, 14, 400, 300, 2, placed))
    assert all(tags.overlap(a, b) == 0 for i, a in enumerate(placed) for b in placed[:i])


def test_the_best_is_on_top() -> None:
    both = [([20, 30, 100, 100], 0.9, 0), ([20, 30, 100, 100], 0.5, 1)]
    out = draw(grey(120, 160), detections(120, 160, both), Style(line=1, labels=False))
    assert (out[30, 20:100] == class_colour(0)).all()


@given(
    st.integers(1, 70),
    st.integers(1, 70),
    st.lists(
        st.tuples(
            st.lists(st.floats(-50, 120, width=32), min_size=4, max_size=4),
            st.floats(0, 1, width=32),
            st.integers(0, 4),
        ),
        max_size=5,
    ),
    st.integers(1, 9),
)
@settings(max_examples=150, deadline=None)
def test_any_box_on_any_picture(
    height: int, width: int, rows: list[tuple[list[float], float, int]], line: int
) -> None:
    """No box, however wrong, makes an error or changes the picture's shape."""
    for style in (Style(), Style(line=line, font=12), Style(scores=False)):
        out = draw(grey(height, width), detections(height, width, rows), style)
        assert out.shape == (height, width, 3)
        assert out.dtype == np.uint8


@pytest.mark.parametrize(
    "shape", [(1, 4000), (4000, 1), (1, 1), (40, 40), (100, 100), (24, 200), (128, 128), (3000, 4000)]
)
def test_legends_fit_every_picture(shape: tuple[int, int]) -> None:
    out = draw(grey(*shape), classes(*shape))
    assert out.shape == (*shape, 3)
    changed = (out != 90).any(axis=2)
    assert changed.any() == (min(shape) >= 24)
    assert not changed[int(shape[0] * 0.75) + 1 :].any() or shape[0] < 60


def test_a_legend_shows_as_many_rows_as_there_is_room_for() -> None:
    tall = draw(grey(480, 640), classes(480, 640))
    low = draw(grey(100, 640), classes(100, 640))
    rows = [int((p != 90).any(axis=(1, 2)).sum()) for p in (tall, low)]
    assert rows[0] > 100
    assert rows[1] <= 60
    assert np.array_equal(draw(grey(480, 640), classes(480, 640, 0)), grey(480, 640))


def test_the_bars_are_as_long_as_the_scores() -> None:
    out = draw(grey(480, 640), classes(480, 640))
    lengths = [int((out == class_colour(i)).all(axis=2).any(axis=0).sum()) for i in range(3)]
    assert lengths[0] / lengths[1] == pytest.approx(3, rel=0.1)
    assert lengths[1] / lengths[2] == pytest.approx(2, rel=0.15)


def test_a_result_of_another_picture_is_refused() -> None:
    with pytest.raises(ValueError, match="160x120"):
        draw(grey(100, 100), detections(120, 160, []))


def test_threads_draw_the_same() -> None:
    rng = np.random.default_rng(5)
    rows = [
        ([float(v) for v in np.sort(rng.uniform(0, 300, 2)).repeat(2)[[0, 2, 1, 3]]], 0.5 + i / 100, i % 4)
        for i in range(30)
    ]
    want = draw(grey(300, 300), detections(300, 300, rows))
    with ThreadPoolExecutor(8) as pool:
        for out in pool.map(lambda _: draw(grey(300, 300), detections(300, 300, rows)), range(40)):
            assert np.array_equal(out, want)


def test_it_is_quick_and_changes_no_global() -> None:
    threads = cv2.getNumThreads()
    image = grey(720, 1280)
    rows = [([100.0 + 120 * i, 200.0, 200.0 + 120 * i, 600.0], 0.5 + i / 20, i % 4) for i in range(8)]
    result = detections(720, 1280, rows)
    draw(image, result)
    best = min(_timed(lambda: draw(image, result)) for _ in range(30))
    assert best < 0.004  # 0.8 ms on a quiet machine of two cores
    assert cv2.getNumThreads() == threads


def _timed(call: object) -> float:
    start = time.perf_counter()
    call()  # type: ignore[operator]
    return time.perf_counter() - start
