"""Trails: in the track's colour, newest strongest, gone after their time."""

from __future__ import annotations

import numpy as np
import pytest

from visioncli.render.canvas import RgbCanvas
from visioncli.render.style import Style, class_colour
from visioncli.render.trails import Trails
from visioncli.results import Detections, Image, Result

WIDTH, HEIGHT = 320, 180


Feet = dict[int, tuple[float, float]]


def result(time: float, feet: Feet, size: tuple[int, int] = (WIDTH, HEIGHT)) -> Result:
    """A frame with a 20×30 box on each track's foot."""
    boxes = np.array([[x - 10, y - 30, x + 10, y] for x, y in feet.values()], np.float32).reshape(-1, 4)
    n = len(feet)
    found = Detections(boxes, np.ones(n, np.float32), np.zeros(n, np.int64), ids=np.array([*feet], np.int64))
    return Result("a.mp4", *size, found, ["person"], round(time * 10), time)


def black(size: tuple[int, int] = (WIDTH, HEIGHT)) -> Image:
    return np.zeros((size[1], size[0], 3), np.uint8)


def walk(trails: Trails, until: float) -> Image:
    """Track 4 goes 100 px/s to the right at y = 100; the last frame's canvas."""
    canvas = black()
    for i in range(round(until * 10) + 1):
        canvas = black()
        trails.draw(RgbCanvas(canvas), result(i / 10, {4: (20 + 10 * i, 100)}), Style())
    return canvas


def test_strongest_at_the_newest_end() -> None:
    canvas = walk(Trails(1.0), 2.0)
    row = canvas[100].astype(int).sum(axis=1)
    assert not row[:118].any(), "what is older than a second is gone"
    assert row[215] > 2 * row[135] > 0
    shades = row[125:215:10]
    assert (np.diff(shades) >= -3).all()
    colour = np.array(class_colour(4), float)
    newest = canvas[100, 214].astype(float)
    assert np.dot(colour, newest) / np.linalg.norm(colour) / np.linalg.norm(newest) > 0.99
    assert not canvas[:90].any()
    assert not canvas[110:].any()


def test_a_lost_track_fades_away() -> None:
    trails = Trails(1.0)
    walk(trails, 2.0)
    sums = []
    for i in range(21, 32):
        canvas = black()
        trails.draw(RgbCanvas(canvas), result(i / 10, {}), Style())
        sums.append(int(canvas.sum()))
    assert sums == sorted(sums, reverse=True)
    assert sums[0] > 0
    assert sums[-1] == 0
    assert not trails._spots, "nothing is kept of it"


def test_no_trail_across_a_jump_or_another_size() -> None:
    trails = Trails(2.0)
    trails.draw(RgbCanvas(black()), result(0.0, {1: (20, 50)}), Style())
    canvas = black()
    trails.draw(RgbCanvas(canvas), result(0.1, {1: (300, 150)}), Style())
    assert not canvas.any()
    small = black((160, 90))
    trails.draw(RgbCanvas(small), result(0.2, {1: (150, 80)}, (160, 90)), Style())
    assert not small.any()


@pytest.mark.parametrize("foot", [(-500.0, 90.0), (160.0, 900.0), (0.0, 0.0)])
def test_outside_the_picture(foot: tuple[float, float]) -> None:
    trails = Trails(9.0)
    for i in range(5):
        trails.draw(RgbCanvas(black()), result(i / 10, {1: (foot[0] + i, foot[1] + i)}), Style())


def test_without_ids_there_are_none() -> None:
    trails = Trails(2.0)
    for i in range(3):
        one = result(i / 10, {1: (20 + 10 * i, 50)})
        canvas = black()
        plain = Detections(one.boxes, one.scores, one.classes)
        trails.draw(RgbCanvas(canvas), Result("a", WIDTH, HEIGHT, plain, ["person"], i, i / 10), Style())
        assert not canvas.any()
