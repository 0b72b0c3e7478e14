"""Colours by class, sizes by picture."""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from visioncli.render.style import Style, class_colour, relative_luminance, text_colour


def _lab(colour: tuple[int, int, int]) -> np.ndarray:
    """CIE L*a*b*, by OpenCV."""
    pixel = np.array([[colour]], np.float32) / 255
    return np.asarray(cv2.cvtColor(pixel, cv2.COLOR_RGB2LAB)[0, 0])


def test_the_first_classes_are_far_apart() -> None:
    labs = [_lab(class_colour(i)) for i in range(12)]
    apart = [np.linalg.norm(a - b) for i, a in enumerate(labs) for b in labs[:i]]
    assert min(apart) > 18  # CIE76; 2.3 is just noticeable


def test_neighbours_are_far_apart_in_large_sets() -> None:
    labs = [_lab(class_colour(i)) for i in range(1000)]
    assert min(float(np.linalg.norm(a - b)) for a, b in pairwise(labs)) > 30


def test_colours_are_stable() -> None:
    # What people have in their annotated media today must look the same tomorrow.
    assert [class_colour(i) for i in (0, 1, 2, 79)] == [class_colour(i) for i in (0, 1, 2, 79)]
    r, g, b = class_colour(0)
    assert g > r
    assert g > b


@given(st.integers(0, 20_000))
def test_text_on_a_tag_is_readable(index: int) -> None:
    ground = class_colour(index)
    light, dark = sorted((relative_luminance(ground), relative_luminance(text_colour(ground))), reverse=True)
    assert (light + 0.05) / (dark + 0.05) >= 4.5  # WCAG 2.2, level AA


@pytest.mark.parametrize(
    ("size", "line"), [((40, 40), 1), ((640, 480), 2), ((1280, 720), 3), ((4000, 3000), 8)]
)
def test_lines_and_text_grow_with_the_picture(size: tuple[int, int], line: int) -> None:
    style = Style()
    assert style.line_width(*size) == line
    assert 8 <= style.font_size(*size) <= 60
    assert style.font_size(*size) < style.font_size(size[0] * 4, size[1] * 4)


def test_given_sizes_are_kept() -> None:
    assert Style(line=5, font=30).line_width(100, 100) == 5
    assert Style(line=5, font=30).font_size(100, 100) == 30
