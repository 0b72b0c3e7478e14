"""The camera's motion."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from visioncli.track.motion import LONG_SIDE, Flow, estimator, reduced


def scene(height: int = 900, width: int = 1400, seed: int = 0) -> np.ndarray:
    """A still scene with corners at several scales."""
    rng = np.random.default_rng(seed)
    picture = np.zeros((height, width, 3), np.uint8)
    for size in (12, 45):
        blocks = rng.integers(0, 128, (height // size + 1, width // size + 1, 3), np.uint8)
        grown = cv2.resize(blocks, None, fx=size, fy=size, interpolation=cv2.INTER_NEAREST)
        picture += grown[:height, :width]
    return cv2.GaussianBlur(picture, (5, 5), 0)


def window(picture: np.ndarray, x: float, y: float, width: int = 960, height: int = 540) -> np.ndarray:
    """What a camera sees whose view begins at (x, y)."""
    shift = np.array([[1, 0, -x], [0, 1, -y]], np.float64)
    return cv2.warpAffine(picture, shift, (width, height), flags=cv2.INTER_LINEAR)


def test_shifts_are_found_within_a_third_of_a_pixel() -> None:
    picture, flow = scene(), Flow()
    x, y = 200.0, 150.0
    assert np.array_equal(flow(window(picture, x, y)), np.eye(2, 3))
    for dx, dy in [(3, -2), (0, 0), (11.5, 7), (-9, -6.5), (0.5, 0), (20, -15)]:
        x, y = x + dx, y + dy
        warp = flow(window(picture, x, y))
        assert np.abs(warp @ (480, 270, 1) - (480 - dx, 270 - dy)).max() < 0.34


def test_turn_and_zoom_are_found() -> None:
    picture, flow = scene(), Flow()
    flow(window(picture, 200, 150))
    turned = cv2.getRotationMatrix2D((480, 270), 2.0, 1.03)
    warp = flow(cv2.warpAffine(window(picture, 200, 150), turned, (960, 540)))
    corners = np.array([[200, 100, 1], [700, 100, 1], [480, 400, 1]]).T
    assert np.abs(warp @ corners - turned @ corners).max() < 1


def test_what_moves_by_itself_does_not_count() -> None:
    """A third of the picture walks to the right, the camera to the left."""
    picture, walker, flow = scene(), scene(seed=1), Flow()
    for step in range(4):
        view = window(picture, 200 + 4 * step, 150)
        view[100:440, 100 + 12 * step : 500 + 12 * step] = walker[:340, :400]
        warp = flow(view)
    assert np.abs(warp[:, 2] - (-4, 0)).max() < 0.5


def test_a_cut_is_no_motion() -> None:
    flow = Flow()
    flow(window(scene(), 200, 150))
    assert np.array_equal(flow(window(scene(seed=5), 200, 150)), np.eye(2, 3))
    # And from the next frame on the new scene counts.
    assert np.abs(flow(window(scene(seed=5), 206, 150))[:, 2] - (-6, 0)).max() < 0.5


def test_a_change_of_size_begins_anew() -> None:
    flow = Flow()
    flow(window(scene(), 200, 150))
    assert np.array_equal(flow(window(scene(), 205, 150, 640, 360)), np.eye(2, 3))
    assert np.abs(flow(window(scene(), 208, 150, 640, 360))[:, 2] - (-3, 0)).max() < 0.5


@pytest.mark.parametrize("shape", [(540, 960), (1, 1), (3, 4000), (40, 30)])
def test_pictures_without_corners_are_no_error(shape: tuple[int, int]) -> None:
    flow = Flow()
    for level in (0, 90, 255):
        assert np.array_equal(flow(np.full((*shape, 3), level, np.uint8)), np.eye(2, 3))


def test_the_picture_is_reduced() -> None:
    assert reduced(np.zeros((1080, 1920, 3), np.uint8)).shape == (LONG_SIDE * 9 // 16, LONG_SIDE)
    assert reduced(np.zeros((20, 30, 3), np.uint8)).shape == (20, 30)


def test_the_same_again() -> None:
    views = [window(scene(), 200 + 3 * i, 150 - 2 * i) for i in range(3)]
    one, other = Flow(), Flow()
    for view in views:
        assert np.array_equal(one(view), other(view))


@pytest.mark.parametrize("method", ["orb", "ecc"])
def test_the_librarys_other_methods(method: str) -> None:
    estimate = estimator(method)
    estimate(window(scene(), 200, 150))
    warp = estimate(window(scene(), 206, 146))
    assert np.abs(warp @ (480, 270, 1) - (474, 274)).max() < 2
