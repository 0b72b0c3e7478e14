"""Tags: what they say of an object."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from visioncli.render.style import class_colour, object_colours
from visioncli.render.tags import fitting_tag, object_tag
from visioncli.results import Detections

FOUND = Detections(
    np.array([[0, 0, 10, 10], [20, 20, 30, 30]], np.float32),
    np.array([0.91, 0.4], np.float32),
    np.array([0, 2], np.int64),
)
NAMES = ["person", "bicycle", "car"]
GREY = (90, 90, 90)


def test_a_tracked_object_shows_its_id_and_no_score() -> None:
    tracked = replace(FOUND, ids=np.array([3, 12], np.int64))
    tag = object_tag(tracked, 1, NAMES, GREY, 16, 500, scores=True)
    expected = fitting_tag("#12 car", 0.0, GREY, 16, 500, scores=False)
    assert tag is not None
    assert expected is not None
    assert np.array_equal(tag.pixels, expected.pixels)
    later = replace(tracked, scores=np.array([0.5, 0.77], np.float32))
    again = object_tag(later, 1, NAMES, GREY, 16, 500, scores=True)
    assert again is not None
    assert np.array_equal(tag.pixels, again.pixels), "nothing flickers from frame to frame"


def test_any_other_object_shows_its_score() -> None:
    tag = object_tag(FOUND, 0, NAMES, GREY, 16, 500, scores=True)
    expected = fitting_tag("person 0.91", 0.0, GREY, 16, 500, scores=False)
    assert tag is not None
    assert expected is not None
    assert np.array_equal(tag.pixels, expected.pixels)


def test_colours_by_id() -> None:
    assert object_colours(replace(FOUND, ids=np.array([7, 8], np.int64))) == [
        class_colour(7),
        class_colour(8),
    ]
