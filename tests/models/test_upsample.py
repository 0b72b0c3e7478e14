"""Small maps at the picture's resolution: the interpolation is torch's, step by step."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from visioncli.models import Options, upsample
from visioncli.models.letterbox import letterbox
from visioncli.models.semantic import regions
from visioncli.models.upsample import above, identity, largest, stretch, to_picture


def interpolate(planes: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    tensor = torch.from_numpy(planes)[None]
    return torch.nn.functional.interpolate(tensor, size, mode="bilinear", align_corners=False)[0].numpy()


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(np.float32)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 30), st.integers(1, 90), st.integers(1, 90))
def test_steps_in_a_row_are_torchs(size: int, middle: int, out: int) -> None:
    """Up and down, one after the other."""
    plane = noise(1, size, 3)
    ours = stretch(stretch(identity(size), middle), out) @ plane[0]
    theirs = interpolate(interpolate(plane, (middle, 3)), (out, 3))[0]
    assert np.abs(ours - theirs).max() < 1e-5


def test_above_is_a_threshold_after_interpolation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upsample, "BLOCK", 500)  # several blocks of rows
    plane = noise(1, 20, 30)
    theirs = interpolate(plane, (151, 203))[0]
    rows, columns = stretch(identity(20), 151), stretch(identity(30), 203)
    clear = np.abs(theirs - 0.3) > 1e-5
    assert np.array_equal(above(plane[0], rows, columns, 0.3)[clear], (theirs > 0.3)[clear])
    part = above(plane[0], rows[40:90], columns[10:11], 0.3)
    assert np.array_equal(part, above(plane[0], rows, columns, 0.3)[40:90, 10:11])
    assert above(plane[0], rows[5:5], columns, 0).shape == (0, 203)


def test_largest_is_an_argmax_after_interpolation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upsample, "BLOCK", 500)
    planes = noise(7, 20, 30)
    theirs = interpolate(planes, (151, 203)).argmax(0)
    ours = largest(planes, stretch(identity(20), 151), stretch(identity(30), 203))
    assert ours.dtype == np.uint8
    assert (ours == theirs).mean() > 0.9999
    assert largest(noise(255, 2, 2), identity(2), identity(2)).dtype == np.uint8
    assert largest(noise(256, 2, 2), identity(2), identity(2)).dtype == np.uint16


@pytest.mark.parametrize("shape", [(480, 640), (640, 427), (333, 1000), (50, 37), (640, 640)])
def test_padding_is_cut_off_and_the_rest_goes_to_the_picture(shape: tuple[int, int]) -> None:
    image = np.zeros((*shape, 3), np.uint8)
    box, fit = letterbox(image, (640, 640), 32)
    small = noise(1, box.shape[0] // 8, box.shape[1] // 8)
    fine = interpolate(small, box.shape[:2])
    inner = fine[:, fit.top : fit.top + fit.inner[0], fit.left : fit.left + fit.inner[1]]
    rows, columns = to_picture(fit, small.shape[1:], 8)
    assert np.abs(rows @ small[0] @ columns.T - interpolate(inner, shape)[0]).max() < 1e-4


def test_classes_that_are_not_wanted_are_no_class() -> None:
    planes = np.eye(4, dtype=np.float32).reshape(4, 2, 2)
    everything = regions(planes, identity(2), identity(2), Options())
    assert everything.map.tolist() == [[0, 1], [2, 3]]
    assert (everything.classes.tolist(), everything.areas.tolist()) == ([0, 1, 2, 3], [1, 1, 1, 1])
    some = regions(planes, identity(2), identity(2), Options(classes=frozenset({1, 3})))
    assert some.map.tolist() == [[255, 1], [255, 3]]
    assert (some.classes.tolist(), some.areas.tolist()) == ([1, 3], [1, 1])


def test_a_single_class_is_there_above_zero() -> None:
    plane = np.array([[[-1, 2], [3, -4]]], np.float32)
    found = regions(plane, identity(2), identity(2), Options())
    assert found.map.tolist() == [[255, 0], [0, 255]]
    assert found.areas.tolist() == [2]
