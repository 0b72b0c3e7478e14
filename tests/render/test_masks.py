"""Masks of objects into pictures."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visioncli.render import Style, draw
from visioncli.render.masks import edge_distance
from visioncli.render.style import class_colour
from visioncli.results import Detections, Image, Mask, Masks, Result

NAMES = ["person", "größe", "日本語", "a very long class name indeed, longer than most pictures are wide"]
SILENT = Style(labels=False)


def disc(height: int, width: int, y: float, x: float, radius: float) -> Mask:
    rows, columns = np.mgrid[:height, :width]
    return np.hypot(rows - y, columns - x) < radius


def segmented(masks: list[Mask], classes: list[int] | None = None, ids: list[int] | None = None) -> Result:
    """A result with these masks, best first."""
    height, width = masks[0].shape
    found = Masks.of((height, width), ((0, 0, mask) for mask in masks))
    sizes = np.array([crop.shape for crop in found.crops])
    boxes = np.hstack([found.corners[:, ::-1], found.corners[:, ::-1] + sizes[:, ::-1]]).astype(np.float32)
    scores = np.linspace(0.9, 0.4, len(masks), dtype=np.float32)
    kinds = np.array(classes or [0] * len(masks), np.int64)
    tracks = None if ids is None else np.array(ids, np.int64)
    return Result("x", width, height, Detections(boxes, scores, kinds, found, tracks), NAMES)


def grey(height: int, width: int, value: int = 90) -> Image:
    return np.full((height, width, 3), value, np.uint8)


def test_a_mask_is_filled_outlined_and_nothing_else_is_touched() -> None:
    mask = disc(200, 300, 100, 150, 60)
    out = draw(grey(200, 300), segmented([mask], [1]), Style(labels=False, alpha=0.5, line=3))
    colour = np.array(class_colour(1))
    inner, outer = disc(200, 300, 100, 150, 56), disc(200, 300, 100, 150, 66)
    assert np.abs(out[inner] - (90 * 0.5 + colour * 0.5)).max() <= 1
    edge = mask & ~disc(200, 300, 100, 150, 59)
    assert (np.abs(out[edge] - colour).max(axis=1) <= 2).mean() > 0.9
    assert (out[~outer] == 90).all()
    assert (out[outer & ~mask] != 90).any()


def test_the_outline_is_smooth() -> None:
    """The drawn edge of a slanted mask is a straight line, without the steps of its pixels."""
    rows, columns = np.mgrid[:120, :160]
    slanted = segmented([columns < 40 + rows / 3], [0])
    out = draw(grey(120, 160, 0), slanted, Style(labels=False, line=1, alpha=1))
    edge = out[20:100, :, 1].sum(axis=1) / class_colour(0)[1]
    steps = np.count_nonzero(columns < 40 + rows / 3, axis=1)[20:100]
    straight = np.arange(20, 100) / 3
    assert np.std(edge - straight) < 0.05 < np.std(steps - straight)


def test_alpha_and_the_best_on_top() -> None:
    left, right = disc(100, 200, 50, 80, 40), disc(100, 200, 50, 120, 40)
    image = grey(100, 200)
    both = draw(image, segmented([left, right], [0, 1]), Style(labels=False, alpha=1))
    assert tuple(both[50, 100]) == class_colour(0)
    assert tuple(both[50, 140]) == class_colour(1)
    clear = draw(image, segmented([left, right], [0, 1]), Style(labels=False, alpha=0))
    assert (clear[40:60, 60:76] == 90).all()


def test_tracked_objects_have_the_colour_of_their_id() -> None:
    mask = disc(100, 100, 50, 50, 30)
    out = draw(grey(100, 100), segmented([mask], [0], [7]), Style(labels=False, alpha=1))
    assert tuple(out[50, 50]) == class_colour(7)


def test_a_tag_leaves_its_object_and_its_neighbour_free() -> None:
    masks = [disc(300, 400, 180, 120, 70), disc(300, 400, 80, 120, 25)]
    result = segmented(masks)
    tagged, plain = draw(grey(300, 400), result), draw(grey(300, 400), result, SILENT)
    tags = (tagged != plain).any(axis=2)
    assert tags.any()
    assert not (tags & (masks[0] | masks[1])).any()


@pytest.mark.parametrize(("y", "x"), [(0, 0), (0, 300), (200, 0), (200, 300), (0, 150)])
def test_tags_in_corners_are_whole(y: int, x: int) -> None:
    """They show as many pixels of the tag's ground as in the middle."""

    def ground(result: Result) -> int:
        tagged, plain = draw(grey(201, 301), result), draw(grey(201, 301), result, SILENT)
        return int(((tagged != plain).any(axis=2)).sum())

    middle = ground(segmented([disc(201, 301, 120, 150, 40)]))
    assert abs(ground(segmented([disc(201, 301, y, x, 40)])) - middle) < 0.1 * middle


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_mask_on_any_picture(data: st.DataObject) -> None:
    height, width = data.draw(st.integers(1, 40)), data.draw(st.integers(1, 40))
    seed, count = data.draw(st.integers(0, 9)), data.draw(st.integers(1, 4))
    noise = np.random.default_rng(seed).random((count, height, width))
    result = segmented(list(noise < data.draw(st.sampled_from([0, 0.01, 0.5, 1]))), [3, 1, 2, 0][:count])
    image = grey(height, width)
    out = draw(image, result)
    assert out.shape == image.shape
    assert (image == 90).all()


def test_an_empty_mask_draws_nothing() -> None:
    out = draw(grey(50, 60), segmented([np.zeros((50, 60), np.bool_)]))
    assert (out == 90).all()


def test_distances_are_positive_inside() -> None:
    inside = np.zeros((40, 40), np.uint8)
    inside[10:30, 10:30] = 1
    distance = edge_distance(inside, 6)
    assert distance[20, 20] == pytest.approx(5.5, abs=0.1)
    assert distance[20, 3] == pytest.approx(-5.5, abs=0.1)
    assert abs(distance[20, 9] + distance[20, 10]) < 0.01
    assert (edge_distance(np.ones((9, 9), np.uint8), 6) > 0).all()


def test_threads_draw_the_same() -> None:
    rng = np.random.default_rng(0)
    masks = [disc(200, 300, *rng.integers(0, 200, 2), rng.integers(5, 60)) for _ in range(20)]
    result, image = segmented(masks, [i % 4 for i in range(20)]), grey(200, 300)
    once = draw(image, result)
    with ThreadPoolExecutor(4) as pool:
        assert all(np.array_equal(once, out) for out in pool.map(lambda _: draw(image, result), range(12)))
