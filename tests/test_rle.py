"""COCO's run lengths: bit for bit what pycocotools writes, and back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pycocotools import mask as coco

from visioncli import rle
from visioncli.errors import InputError
from visioncli.results import Mask, Masks


def theirs(mask: Mask) -> dict[str, object]:
    written = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"size": list(written["size"]), "counts": written["counts"].decode()}


@st.composite
def cropped(draw: st.DrawFn) -> Masks:
    """A mask somewhere in a picture: noise, blocks, nothing, all; some as high as the picture."""
    height, width = draw(st.integers(1, 40)), draw(st.integers(1, 40))
    top, left = draw(st.integers(0, height)), draw(st.integers(0, width))
    bottom, right = draw(st.integers(top, height)), draw(st.integers(left, width))
    if draw(st.booleans()):
        top, bottom = 0, height
    shape = (bottom - top, right - left)
    crop = draw(st.one_of(arrays(np.bool_, shape), st.booleans().map(lambda value: np.full(shape, value))))
    return Masks((height, width), np.array([[top, left]], np.int64), (crop,))


@settings(max_examples=300, deadline=None)
@given(cropped())
def test_encodes_and_decodes_as_pycocotools(masks: Masks) -> None:
    whole = masks.full(0)
    (written,) = rle.encode(masks)
    assert written == theirs(whole)
    assert np.array_equal(rle.decode(written), whole)
    assert np.array_equal(coco.decode(written), whole)
    back = rle.masks_of([written], masks.size)
    assert np.array_equal(back.full(0), whole)
    assert rle.encode(back) == [written]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 2**28 - 1), min_size=1, max_size=12))
def test_any_run_length_comes_back(runs: list[int]) -> None:
    """Runs of 0 in the middle too. Beyond 2**29 pycocotools writes past the end of its own buffer."""
    text = rle.to_string(np.array(runs, np.int64))
    size = [sum(runs), 1]
    assert coco.frPyObjects({"size": size, "counts": runs}, *size)["counts"].decode() == text
    assert rle._runs_of(text).tolist() == runs


def test_a_large_picture() -> None:
    random = np.random.default_rng(0)
    mask = np.repeat(np.repeat(random.random((30, 40)) < 0.4, 100, 0), 100, 1)
    (written,) = rle.encode(Masks(mask.shape, np.zeros((1, 2), np.int64), (mask,)))
    assert written == theirs(mask)
    assert np.array_equal(rle.decode(written), mask)


def test_uncompressed_runs_are_read_too() -> None:
    assert rle.decode({"size": [2, 2], "counts": [1, 2, 1]}).tolist() == [[False, True], [True, False]]


@pytest.mark.parametrize("counts", ["", "52203", "5220P", "5\x1f", "ééé", [5], [9, -1]])
def test_damage_is_told(counts: object) -> None:
    with pytest.raises(InputError):
        rle.decode({"size": [2, 4], "counts": counts})


def test_masks_of_another_picture_are_refused() -> None:
    with pytest.raises(InputError, match="picture"):
        rle.masks_of([{"size": [2, 2], "counts": [4]}], (3, 3))
