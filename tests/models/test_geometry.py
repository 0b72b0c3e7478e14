"""The numpy helpers against what they stand in for."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torchvision
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torchvision.models.detection._utils import BoxCoder, BoxLinearCoder
from torchvision.models.detection.transform import resize_boxes
from torchvision.transforms import InterpolationMode

from visioncli.models import geometry

sides = st.integers(1, 90)


def picture(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(height * 1000 + width).integers(0, 256, (height, width, 3), np.uint8)


@settings(max_examples=40, deadline=None)
@given(sides, sides, st.integers(1, 70), st.tuples(st.integers(1, 70), st.integers(1, 70)))
def test_resize_and_crop_is_the_librarys(height: int, width: int, side: int, crop: tuple[int, int]) -> None:
    source = picture(height, width)
    if max(height, width) > geometry.MAX_ASPECT * min(height, width):
        return
    for name in ("bilinear", "bicubic"):
        theirs = torchvision.transforms.functional.resize(
            Image.fromarray(source), [side], InterpolationMode[name.upper()]
        )
        theirs = torchvision.transforms.functional.center_crop(theirs, list(crop))
        ours = geometry.resize_and_crop(source, side, crop, name)
        np.testing.assert_array_equal(ours, np.asarray(theirs))


@pytest.mark.parametrize("shape", [(1, 60_000), (60_000, 1)])
def test_a_thread_of_a_picture_is_cropped_before_it_is_resized(shape: tuple[int, int]) -> None:
    source = np.zeros((*shape, 3), np.uint8)
    source[shape[0] // 2 - 1 : shape[0] // 2 + 1, shape[1] // 2 - 1 : shape[1] // 2 + 1] = 255
    out = geometry.resize_and_crop(source, 256, (224, 224), "bilinear")
    assert out.shape == (224, 224, 3)
    assert out.max() == 255


@settings(max_examples=40, deadline=None)
@given(sides, sides, st.floats(0.2, 9))
def test_resize_normalised_is_torchs(height: int, width: int, scale: float) -> None:
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    source = picture(height, width)
    pixels = torch.from_numpy(source).permute(2, 0, 1).float() / 255
    pixels = (pixels - torch.tensor(mean)[:, None, None]) / torch.tensor(std)[:, None, None]
    size = max(int(height * scale), 1), max(int(width * scale), 1)
    theirs = torch.nn.functional.interpolate(pixels[None], size, mode="bilinear", align_corners=False)[0]
    ours = geometry.resize_normalised(source, size, mean, std)
    assert ours.dtype == np.float32
    assert np.abs(ours - theirs.numpy()).max() < 1e-5


def _boxes(rng: np.random.Generator, count: int) -> np.ndarray:
    corner = rng.uniform(0, 300, (count, 2))
    return np.concatenate((corner, corner + rng.uniform(1, 200, (count, 2))), 1).astype(np.float32)


@pytest.mark.parametrize("weights", [(10.0, 10.0, 5.0, 5.0), (1.0, 1.0, 1.0, 1.0)])
def test_decoding_is_the_librarys(weights: tuple[float, float, float, float]) -> None:
    rng = np.random.default_rng(3)
    anchors, deltas = _boxes(rng, 500), rng.normal(0, 4, (500, 4)).astype(np.float32)
    theirs = BoxCoder(weights).decode_single(torch.from_numpy(deltas), torch.from_numpy(anchors)).numpy()
    np.testing.assert_allclose(geometry.decode_boxes(deltas, anchors, weights), theirs, rtol=1e-5, atol=1e-3)
    distances = np.abs(deltas)
    theirs = BoxLinearCoder().decode(torch.from_numpy(distances), torch.from_numpy(anchors)).numpy()
    np.testing.assert_allclose(geometry.decode_distances(distances, anchors), theirs, rtol=1e-5, atol=1e-3)


def test_scaling_back_is_the_librarys() -> None:
    boxes = _boxes(np.random.default_rng(4), 50)
    theirs = resize_boxes(torch.from_numpy(boxes), [799, 1066], [427, 640]).numpy()
    np.testing.assert_array_equal(geometry.scale_boxes(boxes, (799, 1066), (427, 640)), theirs)


def test_probabilities() -> None:
    logits = np.random.default_rng(5).normal(0, 30, (7, 11)).astype(np.float32)
    tensor = torch.from_numpy(logits)
    np.testing.assert_allclose(geometry.softmax(logits), tensor.softmax(-1).numpy(), rtol=1e-5, atol=1e-30)
    np.testing.assert_allclose(geometry.sigmoid(logits), tensor.sigmoid().numpy(), rtol=1e-5, atol=1e-30)
    best = geometry.top_k(geometry.softmax(logits)[0], 3)
    assert best.classes.tolist() == tensor[0].topk(3).indices.tolist()
    assert best.scores.dtype == np.float32
    assert len(geometry.top_k(geometry.softmax(logits)[0], 99)) == 11


def test_clipping_leaves_its_argument_alone() -> None:
    boxes = np.array([[-5, -5, 700, 800], [1, 2, 3, 4]], np.float32)
    assert geometry.clip_boxes(boxes, 480, 640).tolist() == [[0, 0, 640, 480], [1, 2, 3, 4]]
    assert boxes[0, 0] == -5
