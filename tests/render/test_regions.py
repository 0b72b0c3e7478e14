"""Semantic maps into pictures."""

from __future__ import annotations

import numpy as np
import pytest

from visioncli.render import Style, draw, legend, regions
from visioncli.render.style import class_colour
from visioncli.results import Image, Regions, Result

NAMES = ["__background__", "cat", "sofa", "a very long class name indeed, longer than most pictures are wide"]


def mapped(values: np.ndarray) -> Result:
    return Result("x", values.shape[1], values.shape[0], Regions.of(values.astype(np.uint8)), NAMES)


def halves(height: int = 200, width: int = 300) -> np.ndarray:
    """Background above, a cat and a sofa below."""
    values = np.zeros((height, width), np.uint8)
    values[height // 2 :, : width // 2] = 1
    values[height // 2 :, width // 2 :] = 2
    return values


def grey(height: int, width: int) -> Image:
    return np.full((height, width, 3), 90, np.uint8)


def test_classes_are_tinted_and_the_background_is_not() -> None:
    out = draw(grey(200, 300), mapped(halves()), Style(labels=False, alpha=0.5, line=5))
    assert (out[:95] == 90).all()
    for x, index in ((75, 1), (225, 2)):
        assert np.abs(out[150, x] - (45 + 0.5 * np.array(class_colour(index)))).max() <= 1
    assert np.abs(out[110:190, 146].astype(int) - class_colour(1)).max() <= 6  # its edge is stronger


def test_the_legend_covers_as_little_as_it_can() -> None:
    low, high = mapped(halves()), mapped(np.flipud(halves()))
    for result, rows in ((low, slice(0, 100)), (high, slice(100, 200))):
        with_legend = draw(grey(200, 300), result)
        without = draw(grey(200, 300), result, Style(labels=False))
        covered = (with_legend != without).any(axis=2)
        assert covered.sum() > 500
        assert covered[rows].sum() == covered.sum()
        for index in (1, 2):
            swatch = (with_legend[rows] == class_colour(index)).all(axis=2)
            assert swatch.sum() > 20


def test_what_rounds_to_nothing_is_not_nothing() -> None:
    shares = [legend._percent(share) for share in (0.0, 0.0004, 0.0005, 0.068, 0.0996, 1.0)]
    assert shares == ["0.0%", "<0.1%", "0.1%", "6.8%", "10%", "100%"]


def test_strips_make_no_seams(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    values = np.kron(rng.integers(0, 4, (10, 12)), np.ones((21, 25), int))
    image = rng.integers(0, 256, (210, 300, 3), np.uint8)
    whole = draw(image, mapped(values))
    monkeypatch.setattr(regions, "_STRIP", 300 * 17)
    assert np.array_equal(draw(image, mapped(values)), whole)


@pytest.mark.parametrize("shape", [(1, 1), (3, 200), (200, 3), (40, 40)])
def test_any_picture(shape: tuple[int, int]) -> None:
    """255 is a pixel of no class."""
    values = np.random.default_rng(1).choice([0, 1, 2, 3, 255], shape)
    out = draw(grey(*shape), mapped(values))
    assert out.shape == (*shape, 3)
    only = draw(grey(*shape), mapped(np.full(shape, 255)))
    assert (only == 90).all()
